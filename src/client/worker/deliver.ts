/**
 * Reports the end of a run until the server has it. Ends are idempotent, so a lost answer is asked for again. A server that was away
 * holds its absence against nobody's lease, so an end is worth its delivery however long that took; only whoever leaves gives up sooner.
 */
import { LIMITS } from '../../contract/constants.ts';
import { LanekeeperError } from '../errors.ts';
import { fullJitterMs } from '../timing.ts';
import { isTransient } from './availability.ts';
import { firstCharacters } from './plain-text.ts';
import type { EndAnswer, RunEnd } from './run-end.ts';
import type { KeptClaim, RunLine } from './run-line.ts';
import type { WorkerClient } from './worker-client.ts';

export type Delivery =
  | { readonly kind: 'delivered'; readonly answer: EndAnswer }
  /** The claim was not ours any more; the problem says what became of it. */
  | { readonly kind: 'claim_lost'; readonly error: LanekeeperError }
  /** Nobody knows of this end: refused for another reason, or not delivered in time. */
  | { readonly kind: 'undelivered'; readonly error: unknown };

export interface DeliveryContext {
  readonly client: WorkerClient;
  readonly line: RunLine;
  readonly leaseSeconds: number;
  /** Cuts the retries short. */
  readonly signal: AbortSignal;
  /** The worker leaves: it waits for little more than the lease. */
  readonly leave: AbortSignal;
  /** Nobody is left to hear that it was refused: it is put in other words then. */
  readonly isLast: boolean;
  /** The first attempt failed and will be repeated. */
  readonly onRetry: (error: unknown) => void;
}

/** While the worker stays. A guess: by then somebody has brought the server back, or nobody is going to. */
const OUTAGE_MS = 10 * 60_000;
/** For a worker that leaves, on top of two leases: time for the server to come up and for the last attempt itself. */
const SLACK_MS = 30_000;
const RETRY_BASE_MS = 250;
const RETRY_CAP_MS = 5_000;

export async function deliverEnd(claim: KeptClaim, end: RunEnd, context: DeliveryContext): Promise<Delivery> {
  const { client, line, signal } = context;
  const leaseMs = context.leaseSeconds * 1000;
  // A lease that was live when the server went has at least two thirds of it left when the server is back.
  const bounds = { baseMs: RETRY_BASE_MS, capMs: Math.min(RETRY_CAP_MS, leaseMs / 3) };
  const startedAtMs = performance.now();
  let current = end;
  for (let failures = 0; ; ) {
    try {
      return { kind: 'delivered', answer: await line.end(claim, current) };
    } catch (error) {
      if (error instanceof LanekeeperError && error.code === 'claim_lost')
        return { kind: 'claim_lost', error };
      const plainer = isRefusedBody(error) ? simplify(current, error, context.isLast) : null;
      if (plainer !== null) {
        current = plainer;
        continue;
      }
      failures += 1;
      const delayMs = fullJitterMs(failures, bounds, Math.random);
      const isTooLate = performance.now() + delayMs > startedAtMs + patienceMs(context);
      const isHopeless = !isTransient(error) || signal.aborted || isTooLate;
      if (isHopeless) return { kind: 'undelivered', error };
      if (failures === 1) context.onRetry(error);
      await client.transport.timing.wait(delayMs, signal).catch(() => undefined);
    }
  }
}

function patienceMs({ leave, leaseSeconds }: DeliveryContext): number {
  const leavingMs = leaseSeconds * 2000 + SLACK_MS;
  return leave.aborted ? leavingMs : Math.max(leavingMs, OUTAGE_MS);
}

/** What the work came to does not fit the API. It was done all the same. */
function isRefusedBody(error: unknown): error is LanekeeperError {
  return error instanceof LanekeeperError && (error.status === 400 || error.status === 413);
}

/**
 * What says as much of it as the API takes; null when nothing would. Refused for good, an end that only its run knows of would come to an
 * expired lease, which costs attempt after attempt and tells nobody why.
 */
function simplify(end: RunEnd, { detail }: LanekeeperError, isLast: boolean): RunEnd | null {
  if (end.verb === 'complete') {
    const { result, metadata, artifacts, summary, ...kept } = end.body;
    if (result !== undefined || metadata !== undefined || artifacts !== undefined) {
      const note = 'The result was refused by the API and is left out.';
      return { verb: 'complete', body: { ...kept, summary: shortened(`${note}\n${summary ?? ''}`.trim()) } };
    }
  }
  if (!isLast) return null;
  if (end.verb === 'block' && Object.keys(end.body).length > 1)
    return { verb: 'block', body: { reason: end.body.reason } };
  if (end.verb === 'fail' && Object.keys(end.body).length === 1) return null;
  const said = end.verb === 'fail' ? `\n${end.body.error}` : '';
  return { verb: 'fail', body: { error: shortened(`its end (${end.verb}) was refused: ${detail}${said}`) } };
}

function shortened(text: string): string {
  return firstCharacters(text, LIMITS.summaryCharactersMax);
}
