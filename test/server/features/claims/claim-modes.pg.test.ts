import { describe, expect, test } from 'vitest';
import { CLAIM_MODES } from '../../../../src/contract/statuses.ts';
import { useTwoServers } from '../../../fixtures/two-servers.ts';

const servers = useTwoServers();

type ClaimMode = (typeof CLAIM_MODES)[number];

/** How claim requests are answered: [plain, with Prefer: wait]. Complete by its type. */
const ANSWERS: Readonly<Record<ClaimMode, readonly [string, string]>> = {
  'pull-or-watch': ['claimed', 'claimed'],
  pull: ['claimed', 'claimed'],
  watch: ['claimed', 'claim_mode_mismatch'],
  push: ['claim_mode_mismatch', 'claim_mode_mismatch'],
};

describe('a claim request', () => {
  test.each(CLAIM_MODES)('to a lane of claim_mode %s is answered as its mode says', async (mode) => {
    const [board] = await servers.board();
    await board.lane('work', { claim_mode: mode });
    await board.tasks('work', 2);
    const plain = await board.claims('work');
    const waiting = await board.claims('work', {}, { waitSeconds: 1 });
    const said = [plain, waiting].map(
      (answer) => answer.code ?? (answer.body.claims.length === 1 ? 'claimed' : 'empty'),
    );
    expect(said).toEqual(ANSWERS[mode]);
    expect(plain.status).toBe(ANSWERS[mode][0] === 'claimed' ? 200 : 409);
  });

  test('of a lane for people, or one that may mutate nothing, is forbidden', async () => {
    const [board] = await servers.board();
    await board.lane('people', { kind: 'human' });
    await board.lane('watcher', { allowed_status_mutations: 'none' });
    for (const lane of ['people', 'watcher']) {
      await board.task(lane);
      for (const options of [{}, { waitSeconds: 1 }, { headers: { 'Idempotency-Key': 'k' } }]) {
        const answer = await board.claims(lane, {}, options);
        expect([answer.status, answer.code]).toEqual([403, 'lane_may_not_claim']);
      }
    }
    expect(await board.events('&kinds=task.claimed')).toEqual([]);
  });

  test('to a lane that is not registered is lane_not_found, though tasks may wait for it', async () => {
    const [board] = await servers.board();
    await board.task('later');
    const answer = await board.claims('later');
    expect([answer.status, answer.code]).toEqual([404, 'lane_not_found']);
    await board.lane('later');
    expect((await board.claims('later')).body.claims).toHaveLength(1);
  });

  test.each([
    ['paused', (lane: string) => ['POST', `${lane}/pause`, undefined] as const, 'lane_paused'],
    ['made push', (lane: string) => ['PATCH', lane, { claim_mode: 'push' }] as const, 'claim_mode_mismatch'],
    [
      'forbidden to mutate',
      (lane: string) => ['PATCH', lane, { allowed_status_mutations: 'none' }] as const,
      'lane_may_not_claim',
    ],
    ['deregistered', (lane: string) => ['DELETE', lane, undefined] as const, 'lane_not_found'],
  ])(
    'learns at once that the lane was %s on another server, with and without work waiting',
    async (_what, change, expected) => {
      for (const tasks of [0, 1]) {
        const [board, elsewhere] = await servers.board();
        await board.lane('work');
        // The other server has the lane in memory by now.
        expect((await elsewhere.claims('work')).body.reason).toBe('none_ready');
        if (tasks > 0) await board.tasks('work', tasks);
        const [method, path, body] = change('/lanes/work');
        await board.call(method, path, body === undefined ? {} : { body });
        for (const options of [{}, { headers: { 'Idempotency-Key': 'k' } }]) {
          const answer = await elsewhere.claims('work', {}, options);
          expect(answer.code ?? answer.body.reason).toBe(expected);
        }
      }
    },
  );

  test('under an Idempotency-Key is decided on the lane as it is now, and claims once', async () => {
    const [board, elsewhere] = await servers.board();
    await board.lane('work');
    await elsewhere.claims('work');
    await board.tasks('work', 3);
    await board.call('PATCH', '/lanes/work', { body: { max_concurrent_claims: 1 } });
    const headers = { 'Idempotency-Key': 'once' };
    const first = await elsewhere.claims('work', { max: 3 }, { headers });
    const again = await board.claims('work', { max: 3 }, { headers });
    expect(first.body.claims).toHaveLength(1);
    expect(again.body.claims.map((claim: { run_id: string }) => claim.run_id)).toEqual([
      first.body.claims[0].run_id,
    ]);
    expect(again.headers.get('Idempotent-Replayed')).toBe('true');
  });
});
