import { describe, expect, test } from 'vitest';
import { useBench } from '../fixtures/bench.ts';
import { ADMIN_KEY } from '../fixtures/call.ts';
import { effortOf } from '../fixtures/random-effort.ts';
import { AnswerCheck } from './answer-check.ts';
import { readApiDocument } from './api-document.ts';
import { type FuzzPlan, FuzzStream, type Tally } from './fuzz-stream.ts';
import { Sender } from './sender.ts';

/** LANEKEEPER_FUZZ_SEED and LANEKEEPER_FUZZ_STREAM repeat what a failure names; LANEKEEPER_FUZZ_REQUESTS asks for more. */
const environment = (name: string, otherwise: number): number => Number(process.env[name] ?? otherwise);
const SEED = environment('LANEKEEPER_FUZZ_SEED', 20_261_122);
/** Pinned by the project: at least 20,000 in CI. */
const REQUESTS_BAR = 21_600;
const REQUESTS = effortOf(REQUESTS_BAR, 'LANEKEEPER_FUZZ_REQUESTS');
const ONLY_STREAM = environment('LANEKEEPER_FUZZ_STREAM', -1);

/** The bar for a run of CI; a longer one may take as much longer. */
const WITHIN_MS = 180_000 * Math.max(1, REQUESTS / REQUESTS_BAR);

/** Side by side, so that requests also meet each other: batches, locks, turns. */
const STREAMS = 8;
/** Of each operation in CI, at least: else the fuzz has become one that is turned away at the door, or lets everything pass. */
const ACCEPTED_MIN = 15;
const REFUSED_MIN = 8;
/** What nothing can be wrong with: no parameter, no body, no credential. */
const NEVER_REFUSED = new Set(['livez', 'readyz', 'openapiDocument', 'asyncapiDocument', 'docsPage', 'jwks']);

const bench = useBench({ trustedProxies: ['127.0.0.1'] });

describe('whatever is made up from openapi.yaml', () => {
  test('is answered as openapi.yaml says, and never with a 5xx', { timeout: WITHIN_MS }, async ({
    annotate,
  }) => {
    const document = readApiDocument();
    const tallies = new Map<string, Tally>();
    const plan: FuzzPlan = {
      url: bench.server.url,
      adminKey: ADMIN_KEY,
      document,
      check: new AnswerCheck(document),
      sender: new Sender(bench.server.url),
      seed: SEED,
      reserved: new Set(),
      tallies,
      failures: new Map(),
    };
    const startedAt = performance.now();
    const cpu = process.cpuUsage();
    const streams = Array.from({ length: STREAMS }, (_, index) => new FuzzStream(plan, index));
    for (const stream of streams) await stream.world.furnish();
    const names = streams.map((stream) => stream.world.names.copy());
    await Promise.all(
      streams.map((stream, index) => {
        const foreign = names[(index + 1) % STREAMS];
        const isLeftOut = ONLY_STREAM >= 0 && index !== ONLY_STREAM;
        return isLeftOut || foreign === undefined ? null : stream.run(REQUESTS / STREAMS, foreign);
      }),
    );
    plan.sender.close();
    const sums = [...tallies.values()];
    const accepted = sums.reduce((sum, tally) => sum + tally.accepted, 0);
    const refused = sums.reduce((sum, tally) => sum + tally.refused, 0);
    const seconds = Math.round((performance.now() - startedAt) / 1000);
    const { user, system } = process.cpuUsage(cpu);
    const cpuSeconds = Math.round((user + system) / 1e6);
    await annotate(
      `${accepted} accepted, ${refused} refused, ${seconds} s, ${cpuSeconds} CPU-s here, seed ${SEED}`,
    );

    expect([...plan.failures.values()].join('\n\n')).toBe('');
    if (ONLY_STREAM >= 0) return;
    // Some were made to addresses that the document does not have, and some left before their answer.
    expect(accepted + refused).toBeGreaterThanOrEqual(REQUESTS * 0.93);
    const share = Math.min(1, REQUESTS / REQUESTS_BAR);
    const thin = document.operations.flatMap(({ id }) => {
      const tally = tallies.get(id) ?? { accepted: 0, refused: 0 };
      const isRefusedEnough = NEVER_REFUSED.has(id)
        ? tally.refused === 0
        : tally.refused >= Math.max(1, Math.floor(REFUSED_MIN * share));
      return tally.accepted >= Math.max(1, Math.floor(ACCEPTED_MIN * share)) && isRefusedEnough
        ? []
        : [{ id, ...tally }];
    });
    expect(thin).toEqual([]);
  });
});
