/** P14: what the SDK's worker costs over the raw client of P3: the same load, the same sockets, a handler that does nothing. */
import type { Contender, Scenario } from '../scenario.ts';
import { THROUGHPUT_METRICS, throughputContender } from '../throughput.ts';

/** As in P3. */
const SOCKETS = 4;
const CREDITS = 100;
const WARM_UP_PIECES = 50_000;

const rawBare = contender('raw client, without tokens', 'raw', false);
const sdkBare = contender('SDK, without tokens', 'sdk', false);
const rawSigned = contender('raw client, with tokens', 'raw', true);
const sdkSigned = contender('SDK, with tokens', 'sdk', true);

export const sdkWorker: Scenario = {
  id: 'P14',
  title: 'SDK worker over push: a handler that does nothing, beside the raw client of P3',
  isExtra: true,
  metrics: THROUGHPUT_METRICS,
  contenders: [rawBare, sdkBare, rawSigned, sdkSigned],
  comparisons: [
    { metric: 'per_second', of: sdkBare.name, against: rawBare.name, bar: { kind: 'at_least', value: 0.8 } },
    {
      metric: 'per_second',
      of: sdkSigned.name,
      against: rawSigned.name,
      bar: { kind: 'at_least', value: 0.8 },
    },
  ],
};

function contender(name: string, client: 'raw' | 'sdk', hasTokens: boolean): Contender {
  return throughputContender(name, {
    party: 'lanekeeper',
    concurrency: SOCKETS,
    manner: { kind: 'push', ahead: CREDITS, hasTokens, client },
    warmUpPieces: WARM_UP_PIECES,
  });
}
