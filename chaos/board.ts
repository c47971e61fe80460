/** The board of the run: its lanes, and the keys of all who take part. */
import { BoardMaker } from './board-maker.ts';
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
  { name: 'pull', claimMode: 'pull', leaseSeconds: 2 },
  { name: 'open', claimMode: 'pull-or-watch', leaseSeconds: 3, claimsMax: 10 },
  { name: 'hinted', claimMode: 'watch', leaseSeconds: 2 },
  { name: REVIEW_LANE, claimMode: 'pull-or-watch', leaseSeconds: 2 },
  { name: 'pushed', claimMode: 'push', leaseSeconds: 7 },
] as const;
const PROBE_LEASE_SECONDS = 10;
const SYNTHESIZER_LANE = 'replies';
const SYNTHESIZER_LEASE_SECONDS = 3;

export async function openBoard(url: string, adminKey: string): Promise<BoardPlan> {
  const maker = new BoardMaker(url, adminKey, BOARD);
  await maker.make({ synthesizer_lane: SYNTHESIZER_LANE });
  const lanes: LanePlan[] = [];
  for (const wish of LANES) lanes.push(await maker.lane(wish));
  const observerKey = await maker.key('observer');
  return {
    board: BOARD,
    lanes,
    reviewLane: REVIEW_LANE,
    probeLane: await maker.lane({ name: 'probe', claimMode: 'pull', leaseSeconds: PROBE_LEASE_SECONDS }),
    synthesizerLane: await maker.lane({
      name: SYNTHESIZER_LANE,
      claimMode: 'pull-or-watch',
      leaseSeconds: SYNTHESIZER_LEASE_SECONDS,
    }),
    orchestratorKey: await maker.key('orchestrator'),
    observerKey,
    hasTakeover: await offersTakeover(url, maker.path, adminKey),
    hasStreams: await offersStreams(`${url}${maker.path}/events`, observerKey),
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
