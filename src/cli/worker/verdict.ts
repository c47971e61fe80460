/** What becomes of the claim when its process has ended: pure. What an exit code of 0 means is the caller's to say. */
import { cleanText, lastCharacters } from '../../client/worker/plain-text.ts';
import type { RunEnd, StopReason } from '../../client/worker/run-end.ts';
import { LIMITS, RATE_LIMITED_EXIT_CODE } from '../../contract/constants.ts';
import type { ProcessEnd } from './running-process.ts';

export type Exited = ProcessEnd & { readonly kind: 'exited' };

/** Where those who run processes differ. */
export interface Reading {
  readonly ofSuccess: (end: Exited) => RunEnd;
  /** What a process that failed has said last; empty: nothing. */
  readonly lastWords: (end: Exited) => string;
}

/** null: nothing may be reported, because the claim is not ours any more. */
export function endOfRun(end: ProcessEnd, stopped: StopReason | null, reading: Reading): RunEnd | null {
  if (stopped !== null) return endOfStopped(end, stopped, reading);
  switch (end.kind) {
    case 'not_started':
      // Not the task's fault: another worker, or this one once it is mended, can still do it.
      return release(`the worker could not start its command: ${end.error.message}`);
    case 'vanished':
      return release('the process was gone without a word of how it ended');
    case 'exited':
      return end.exitCode === 0 ? reading.ofSuccess(end) : endOfFailed(end, reading);
  }
}

function endOfStopped(end: ProcessEnd, stopped: StopReason, reading: Reading): RunEnd | null {
  switch (stopped.kind) {
    case 'claim_lost':
      return null;
    case 'cancel_requested':
      return release('stopped because a cancel was requested');
    case 'draining':
      return release('the worker is shutting down');
    case 'lease_expired':
      return release('stopped because no heartbeat got through for a whole lease');
    case 'timed_out': {
      const error = withTail(`timed out after ${stopped.seconds} s`, end, reading);
      return { verb: 'fail', body: { error, metadata: exitFacts(end) } };
    }
  }
}

function release(reason: string): RunEnd {
  return { verb: 'release', body: { reason: cleanText(reason).slice(0, LIMITS.reasonCharactersMax) } };
}

function endOfFailed(end: Exited, { lastWords }: Reading): RunEnd {
  const how = end.signal === null ? `exit code ${end.exitCode}` : `killed by ${end.signal}`;
  const tail = lastCharacters(lastWords(end).trim(), LIMITS.summaryCharactersMax);
  const kind = end.exitCode === RATE_LIMITED_EXIT_CODE ? ({ kind: 'rate_limited' } as const) : {};
  return { verb: 'fail', body: { error: tail === '' ? how : tail, ...kind, metadata: exitFacts(end) } };
}

function withTail(first: string, end: ProcessEnd, { lastWords }: Reading): string {
  const tail = end.kind === 'exited' ? lastWords(end).trim() : '';
  return tail === ''
    ? first
    : `${first}\n${lastCharacters(tail, LIMITS.summaryCharactersMax - first.length - 1)}`;
}

export function exitFacts(end: ProcessEnd): Record<string, number | string | null> {
  return end.kind === 'exited' ? { exit_code: end.exitCode, signal: end.signal } : {};
}
