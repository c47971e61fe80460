import { expect, test } from 'vitest';
import { endClaim, expectStatus } from '../../../fixtures/board.ts';
import { useTwoServers } from '../../../fixtures/two-servers.ts';

const servers = useTwoServers();

/** Longer than an event keeps, with a character of two halves across the cut. */
const LONG = `${'x'.repeat(399)}😀 and more`;

test.each([
  ['block', { reason: LONG }, 'task.blocked'],
  ['fail', { error: LONG }, 'task.failed'],
  ['complete', { summary: LONG }, 'task.completed'],
] as const)('%s with a text that its event cuts within a character is kept', async (verb, body, kind) => {
  const [board] = await servers.board();
  await board.lane('work');
  await board.task('work');
  const claim = await board.claim('work');
  expectStatus(await endClaim(board.server, claim, verb, body), 200);
  const { events } = expectStatus(await board.call('GET', `/events?kinds=${kind}`), 200).body;
  expect(JSON.stringify(events)).toContain('x'.repeat(399));
});
