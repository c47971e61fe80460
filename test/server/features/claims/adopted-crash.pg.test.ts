/** Adopted claims are taken when a socket closes where the claims before them were to be. */
import { expect, test } from 'vitest';
import type { Claim } from '../../../../src/contract/claims.ts';
import { auditBoard } from '../../../fixtures/audit.ts';
import { endClaim, expectStatus } from '../../../fixtures/board.ts';
import { only } from '../../../fixtures/eventually.ts';
import { openWorker } from '../../../fixtures/push-worker.ts';
import { useTwoServers } from '../../../fixtures/two-servers.ts';

const servers = useTwoServers();

test('a takeover by adoption carries crash_on_disconnect over, to each claim as it had it', async () => {
  const [board, elsewhere] = await servers.board();
  await board.lane('work');
  await board.tasks('work', 2, { backoff: { base_seconds: 3600 } });
  const flagged = await board.claim('work', { worker: 'old', crash_on_disconnect: true, lease_seconds: 600 });
  const plain = await board.claim('work', { worker: 'old', lease_seconds: 600 });
  const taken = await board.call('POST', '/lanes/work/takeover', { body: { mode: 'adopt', worker: 'new' } });
  const adopted = expectStatus(taken, 200).body.claims as Claim[];
  expect(adopted).toHaveLength(2);
  const claimOf = (before: Claim): Claim => only(adopted.filter(({ task }) => task.id === before.task.id));

  // Without a socket only the lease counts: nothing has closed yet.
  expectStatus(await endClaim(board.server, claimOf(flagged), 'heartbeat'), 200);
  const worker = await openWorker(elsewhere, { worker: 'new' });
  worker.socket.close();
  await board.until(flagged.task.id, ({ status }) => status === 'scheduled', 'has crashed');
  const [, crashed] = await board.runs(flagged.task.id);
  expect(crashed).toMatchObject({ outcome: 'crashed', worker: 'new', evidence: { limit: 'disconnect' } });
  expectStatus(await endClaim(board.server, claimOf(plain), 'complete'), 200);
  await auditBoard(servers.database.sql, board.name);
});
