/** What every way to work on a held task has in common: what it knows, how it passes time, and how it ends. */
import type { Random } from '../random.ts';
import type { Body } from './call.ts';
import type { HeldClaim, Write } from './holder.ts';
import { pause } from './pause.ts';

export interface LifeParts {
  readonly random: Random;
  readonly leaseSeconds: number;
  readonly claim: HeldClaim;
  readonly write: Write;
  readonly lane: string;
  /** All that may be asked to review, and the one that does nothing else. */
  readonly lanes: readonly string[];
  readonly reviewLane: string;
  /** Asks for the task to be cancelled, as an orchestrator. */
  readonly cancel: () => Promise<void>;
  /** Lets the work stand, or sends it back, as an orchestrator. */
  readonly decide: (kind: 'accept' | 'send_back') => Promise<void>;
  /** Makes a task that this one waits for, and looks until somebody holds it; false: it could not. */
  readonly makeHelper: () => Promise<boolean>;
  /** Hands work on under its claim, and resolves when that has come back, or will not. */
  readonly delegate: () => Promise<void>;
  readonly leaving: AbortSignal;
}

export type EndKind = 'complete' | 'request_changes' | 'fail' | 'release' | 'block';

/** Of an end whose answer is unknown. Together they outlast a restart of Postgres. */
const END_ATTEMPTS_MAX = 12;
const END_PAUSE_MS = [100, 900] as const;
export const PROMPT_MS = [10, 400] as const;

export function work({ leaving }: LifeParts, ms: number): Promise<void> {
  return pause(ms, leaving);
}

/** Until it is known how it ended, with the same body each time. */
export async function end(
  { random, write, leaving }: Pick<LifeParts, 'random' | 'write' | 'leaving'>,
  kind: EndKind,
  body: Body,
): Promise<void> {
  for (let attempt = 1; attempt <= END_ATTEMPTS_MAX; attempt += 1) {
    const { ending } = await write(kind, body);
    if (ending !== 'unknown' || leaving.aborted) return;
    await pause(random.between(...END_PAUSE_MS), leaving);
  }
}
