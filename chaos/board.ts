/** The board of the run: its lanes, and the keys of all who take part. */
import { call } from './workload/call.ts';
import type { LanePlan } from './workload/party-channel.ts';

export interface BoardPlan {
  readonly board: string;
  readonly lanes: readonly LanePlan[];
  readonly reviewLane: string;
  readonly probeLane: LanePlan;
  readonly synthesizerLane: LanePlan;
  readonly orchestratorKey: string;
  readonly observerKey: string;
  /** What this build offers. */
  readonly hasTakeover: boolean;
  readonly hasStreams: boolean;
}

const BOARD = 'chaos';
const REVIEW_LANE = 'reviews';
/**
 * Leases are short, so that they lapse while their holders are stopped; that of the pushed lane is longer than the 5 s after which an
 * unacknowledged claim is given back.
 */
const LANES = [
  { name: 'pull', claimMode: 'pull', leaseSeconds: 2, claimsMax: null },
  { name: 'open', claimMode: 'pull-or-watch', leaseSeconds: 3, claimsMax: 10 },
  { name: 'hinted', claimMode: 'watch', leaseSeconds: 2, claimsMax: null },
  { name: REVIEW_LANE, claimMode: 'pull-or-watch', leaseSeconds: 2, claimsMax: null },
  { name: 'pushed', claimMode: 'push', leaseSeconds: 7, claimsMax: null },
] as const;
const PROBE_LEASE_SECONDS = 10;
const SYNTHESIZER_LANE = 'replies';
const SYNTHESIZER_LEASE_SECONDS = 3;

export async function openBoard(url: string, adminKey: string): Promise<BoardPlan> {
  const ask = async (method: 'PUT' | 'POST', path: string, body: unknown) => {
    const answer = await call({ url, method, path, key: adminKey, body });
    if (answer.ending !== 'ok') throw new Error(`${method} ${path}: ${JSON.stringify(answer.body)}`);
    return answer.body;
  };
  const path = `/v1/boards/${BOARD}`;
  const lane = async (
    name: string,
    claimMode: LanePlan['claimMode'],
    leaseSeconds: number,
    claimsMax: number | null,
  ): Promise<LanePlan> => {
    await ask('PUT', `${path}/lanes/${name}`, {
      claim_mode: claimMode,
      lease_seconds: leaseSeconds,
      ...(claimsMax === null ? {} : { max_concurrent_claims: claimsMax }),
    });
    const { secret } = await ask('POST', `${path}/lanes/${name}/keys`, { name });
    return { name, claimMode, leaseSeconds, key: String(secret) };
  };
  const key = async (role: string): Promise<string> =>
    String((await ask('POST', '/v1/keys', { role, name: role, boards: [BOARD] }))['secret']);

  await ask('PUT', path, { settings: { synthesizer_lane: SYNTHESIZER_LANE } });
  const lanes: LanePlan[] = [];
  for (const plan of LANES)
    lanes.push(await lane(plan.name, plan.claimMode, plan.leaseSeconds, plan.claimsMax));
  const observerKey = await key('observer');
  return {
    board: BOARD,
    lanes,
    reviewLane: REVIEW_LANE,
    probeLane: await lane('probe', 'pull', PROBE_LEASE_SECONDS, null),
    synthesizerLane: await lane(SYNTHESIZER_LANE, 'pull-or-watch', SYNTHESIZER_LEASE_SECONDS, null),
    orchestratorKey: await key('orchestrator'),
    observerKey,
    hasTakeover: await offersTakeover(url, path, adminKey),
    hasStreams: await offersStreams(`${url}${path}/events`, observerKey),
  };
}

/** A server without it answers that there is no such route, and not that the lane is unknown. */
async function offersTakeover(url: string, path: string, key: string): Promise<boolean> {
  const body = { mode: 'release', worker: 'nobody' };
  const answer = await call({ url, method: 'POST', path: `${path}/lanes/unknown/takeover`, key, body });
  return answer.code === 'lane_not_found';
}

async function offersStreams(url: string, key: string): Promise<boolean> {
  const leaving = new AbortController();
  try {
    const response = await fetch(url, {
      headers: { Authorization: `Bearer ${key}`, Accept: 'text/event-stream' },
      signal: AbortSignal.any([leaving.signal, AbortSignal.timeout(5000)]),
    });
    return response.headers.get('Content-Type')?.startsWith('text/event-stream') ?? false;
  } finally {
    leaving.abort();
  }
}
