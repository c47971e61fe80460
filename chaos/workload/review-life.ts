/** What a worker does with work that it is to review: mostly decides, sometimes is late, gives it back, or is never heard of again. */
import { end, type LifeParts, PROMPT_MS, work } from './life-parts.ts';

/** By how often they come. */
const REVIEWS = {
  approve: 40,
  send_back: 22,
  edge: 10,
  hand_on: 6,
  release: 6,
  fail: 5,
  abandon: 8,
} as const;
const REVIEWERS = { specialist: 5, colleague: 3, people: 2 } as const;

export async function review(parts: LifeParts): Promise<void> {
  const { random } = parts;
  const life = random.choose(REVIEWS);
  if (life === 'abandon') return;
  // A little after its lease a verdict may be in time or not.
  const ms =
    life === 'edge' ? parts.leaseSeconds * 1000 * random.between(0.9, 1.3) : random.between(...PROMPT_MS);
  await work(parts, ms);
  switch (life) {
    case 'approve':
      return end(parts, 'complete', random.chance(0.5) ? {} : { summary: 'as it should be' });
    case 'hand_on':
      return end(parts, 'complete', handOverBody(parts));
    case 'release':
      return end(parts, 'release', random.chance(0.3) ? { delay_seconds: 1 } : {});
    case 'fail':
      return end(parts, 'fail', { error: 'it cannot be read' });
    default:
      return end(parts, 'request_changes', { reason: 'not like that' });
  }
}

/** To a lane of reviewers, to a lane that does such work itself, or to people. */
export function handOverBody({ random, reviewLane, lanes, lane }: LifeParts) {
  const common = { summary: 'to be looked at', review: true };
  switch (random.choose(REVIEWERS)) {
    case 'specialist':
      return { ...common, reviewer: reviewLane };
    case 'colleague':
      return { ...common, reviewer: random.pick([lane, random.pick(lanes)]) };
    default:
      return common;
  }
}
