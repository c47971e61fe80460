/** A client that has gone while its claim still waits for its batch: nothing is claimed for it, so nothing has to be given back. */
import { expect, onTestFinished, test, vi } from 'vitest';
import { Batcher } from '../../../../src/server/kernel/batcher.ts';
import { expectStatus } from '../../../fixtures/board.ts';
import { eventually } from '../../../fixtures/eventually.ts';
import { holdGate, untilStanding } from '../../../fixtures/held-lock.ts';
import { useTwoServers } from '../../../fixtures/two-servers.ts';

const servers = useTwoServers();

test('a claim whose client goes away before its batch starts is never made', async () => {
  const [board] = await servers.board();
  await board.lane('work');
  await board.lane('other');
  const submit = vi.spyOn(Batcher.prototype, 'submit');
  onTestFinished(() => submit.mockRestore());
  const gate = await holdGate(servers.database.sql);
  try {
    const opener = board.claims('other');
    await untilStanding(servers.database.sql, 'claims.claim', 'gate');
    const gone = new AbortController();
    const abandoned = board.claims('work', {}, { waitSeconds: 30, signal: gone.signal });
    await eventually('the claim waits for its batch', () => submit.mock.results.length === 2);
    gone.abort();
    await expect(abandoned).rejects.toThrow();
    await expect(submit.mock.results[1]?.value).rejects.toMatchObject({
      message: 'The client did not wait for the answer.',
    });
    await gate.release();
    expectStatus(await opener, 200);
  } finally {
    await gate.release();
  }
  await board.task('work');
  const claim = await board.claim('work');
  const claimed = await board.events('&kinds=task.claimed,task.released');
  expect(claimed.map((event) => [event.kind, event.run_id])).toEqual([['task.claimed', claim.run_id]]);
});
