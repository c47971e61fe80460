/**
 * What a worker does with a task that it holds: mostly what it should, and often enough what hits a window. Durations lie around the
 * lease, answers are not waited for, ends are repeated, and some go on writing long after somebody else has the task.
 */
import type { Body } from './call.ts';
import { APART_MS, untilChimeMs } from './chime.ts';
import { type EndKind, end, type LifeParts, PROMPT_MS, work } from './life-parts.ts';
import { after } from './pause.ts';
import { handOverBody, review } from './review-life.ts';

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
  hand_over: 18,
  park: 10,
  delegate: 4,
} as const;

/** From the moment a request leaves: about as long as its statement takes. */
const IMPATIENT_MS = [0, 12] as const;
const CHIME_SHARE = 0.8;
/** Later attempts of a task that was parked do the work, or it would never be done. */
const PARKS_MAX = 2;
const ACCEPT_SHARE = 0.75;
const ACCEPT_AFTER_MS = [0, 15] as const;

export async function live(parts: LifeParts): Promise<void> {
  const { random, claim } = parts;
  if (claim.isReview) return review(parts);
  if (claim.isHelper || (claim.isChiming && random.chance(CHIME_SHARE))) return meet(parts);
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
    case 'hand_over':
      return handOver(parts);
    case 'park':
      return park(parts);
    case 'delegate':
      return handOn(parts);
    default:
      await work(parts, random.between(...PROMPT_MS));
      return finish(parts, life);
  }
}

const summary = { summary: 'done' };

const leaseMs = ({ leaseSeconds }: LifeParts): number => leaseSeconds * 1000;

/** Ends on the next stroke, as others do. */
async function meet(parts: LifeParts): Promise<void> {
  await work(parts, untilChimeMs() + parts.random.between(...APART_MS));
  await finish(parts, 'complete');
}

/** Now and then somebody decides while a reviewer is just taking it. */
async function handOver(parts: LifeParts): Promise<void> {
  const { random } = parts;
  await work(parts, random.between(...PROMPT_MS));
  const isDecided = random.chance(ACCEPT_SHARE);
  const decision = random.chance(0.75) ? 'accept' : 'send_back';
  await end(parts, 'complete', handOverBody(parts));
  if (!isDecided) return;
  await work(parts, random.between(...ACCEPT_AFTER_MS));
  await parts.decide(decision);
}

/** Parks just when the helper ends, as near as can be. */
async function park(parts: LifeParts): Promise<void> {
  const { random, claim } = parts;
  const isParked = claim.attempt <= PARKS_MAX && (await parts.makeHelper());
  if (!isParked) return finish(parts, 'complete');
  await work(parts, untilChimeMs() + random.between(...APART_MS));
  await end(parts, 'block', { reason: 'a helper is at it', kind: 'dependency' });
}

/** Has others do a part of it, waits for what comes of that within its own run, and stays alive meanwhile. */
async function handOn(parts: LifeParts): Promise<void> {
  const { write } = parts;
  let isCollected = false;
  const collected = parts.delegate().finally(() => {
    isCollected = true;
  });
  while (!isCollected && !parts.leaving.aborted) {
    await work(parts, leaseMs(parts) / 3);
    const { ending } = await write('heartbeat', {});
    if (ending === 'fail') break;
  }
  await collected;
  await finish(parts, 'complete');
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

function finish(parts: LifeParts, kind: EndKind): Promise<void> {
  const isLater = parts.random.chance(0.3) && kind === 'release';
  return end(parts, kind, isLater ? { delay_seconds: 1 } : bodyOf(parts, kind));
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
