/**
 * What a worker does with a task that it holds: mostly what it should, and often enough what hits a window. Durations lie around the
 * lease, answers are not waited for, ends are repeated, and some go on writing long after somebody else has the task.
 */
import type { Random } from '../random.ts';
import type { Body } from './call.ts';
import type { HeldClaim, Write } from './holder.ts';
import { after, pause } from './pause.ts';

export interface LifeParts {
  readonly random: Random;
  readonly leaseSeconds: number;
  readonly claim: HeldClaim;
  readonly write: Write;
  /** Asks for the task to be cancelled, as an orchestrator. */
  readonly cancel: () => Promise<void>;
  readonly leaving: AbortSignal;
}

/** By how often they come. */
const LIVES = {
  prompt: 40,
  steady: 10,
  edge: 12,
  zombie: 9,
  impatient: 8,
  twice: 5,
  cancelled: 7,
  fail: 5,
  release: 5,
  block: 2,
  abandon: 2,
} as const;
type EndKind = 'complete' | 'fail' | 'release' | 'block';

/** Of an end whose answer is unknown. Together they outlast a restart of Postgres. */
const END_ATTEMPTS_MAX = 12;
const END_PAUSE_MS = [100, 900] as const;
/** From the moment a request leaves: about as long as its statement takes. */
const IMPATIENT_MS = [0, 12] as const;
const PROMPT_MS = [10, 400] as const;

export async function live(parts: LifeParts): Promise<void> {
  const { random } = parts;
  const life = random.choose(LIVES);
  switch (life) {
    case 'prompt':
      await work(parts, random.between(...PROMPT_MS));
      return finish(parts, 'complete');
    case 'steady':
      return liveSteadily(parts);
    case 'edge':
      // The reaper looks every half second: what ends a little after its lease may be in time or not.
      await work(parts, leaseMs(parts) * random.between(0.9, 1.3));
      return finish(parts, random.chance(0.8) ? 'complete' : 'release');
    case 'zombie':
      return liveOn(parts);
    case 'impatient':
      await work(parts, random.between(...PROMPT_MS));
      await parts.write('complete', summary, after(random.between(...IMPATIENT_MS)));
      return finish(parts, 'complete');
    case 'twice':
      return endTwice(parts);
    case 'cancelled':
      await work(parts, random.between(...PROMPT_MS));
      await Promise.all([finish(parts, random.chance(0.7) ? 'complete' : 'release'), parts.cancel()]);
      return;
    case 'abandon':
      return;
    default:
      await work(parts, random.between(...PROMPT_MS));
      return finish(parts, life);
  }
}

const summary = { summary: 'done' };

const leaseMs = ({ leaseSeconds }: LifeParts): number => leaseSeconds * 1000;

function work({ leaving }: LifeParts, ms: number): Promise<void> {
  return pause(ms, leaving);
}

async function liveSteadily(parts: LifeParts): Promise<void> {
  const { random, write } = parts;
  const beats = random.whole(2, 5);
  for (let beat = 1; beat <= beats; beat += 1) {
    await work(parts, leaseMs(parts) / 3);
    const answer = await write('heartbeat', random.chance(0.3) ? { progress: beat } : {});
    if (answer.ending === 'fail') return;
    if (random.chance(0.2)) await write('output', { lines: [`step ${beat}`] });
  }
  await finish(parts, 'complete');
}

/** Silent until long after its lease, then as if nothing had been. */
async function liveOn(parts: LifeParts): Promise<void> {
  const { random, write } = parts;
  await work(parts, leaseMs(parts) + random.between(800, 3500));
  if (random.chance(0.5)) await write('heartbeat', {});
  await write(random.chance(0.7) ? 'complete' : 'release', {});
  if (random.chance(0.5)) {
    await work(parts, random.between(100, 2000));
    await finish(parts, random.chance(0.5) ? 'complete' : 'fail');
  }
}

/** The same end again, and then another one. */
async function endTwice(parts: LifeParts): Promise<void> {
  const { random, write } = parts;
  const kind = random.chance(0.6) ? 'complete' : 'release';
  await work(parts, random.between(...PROMPT_MS));
  await write(kind, bodyOf(parts, kind));
  await work(parts, random.between(0, 300));
  await write(kind, bodyOf(parts, kind));
  await write(kind === 'complete' ? 'release' : 'complete', {});
}

/** Until it is known how it ended, with the same body each time. */
async function finish(parts: LifeParts, kind: EndKind): Promise<void> {
  const { random, write, leaving } = parts;
  const body = random.chance(0.3) && kind === 'release' ? { delay_seconds: 1 } : bodyOf(parts, kind);
  for (let attempt = 1; attempt <= END_ATTEMPTS_MAX; attempt += 1) {
    const { ending } = await write(kind, body);
    if (ending !== 'unknown' || leaving.aborted) return;
    await pause(random.between(...END_PAUSE_MS), leaving);
  }
}

function bodyOf({ claim }: LifeParts, kind: EndKind): Body {
  switch (kind) {
    case 'complete':
      return { ...summary, result: { attempt: claim.attempt } };
    case 'fail':
      return { error: 'it did not work' };
    case 'block':
      return { reason: 'an answer is needed', kind: 'needs_input' };
    default:
      return {};
  }
}
