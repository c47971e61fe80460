import { beforeEach, describe, expect, test } from 'vitest';
import { QueueHeads } from '../../../../src/server/features/claims/claiming/queue-heads.ts';
import type { ClaimedRow } from '../../../../src/server/features/claims/store/claimed-row.ts';
import type { Heads } from '../../../../src/server/features/claims/store/ready-line.ts';
import type { Slot } from '../../../../src/server/features/claims/store/slot.ts';
import type { Uuid } from '../../../../src/server/kernel/ids.ts';

const BOARD_ID = 1;
const FAST_MS = 0.5;
const SLOW_MS = 20;
/** Enough to believe that slow looks are slow for what was claimed. */
const MANY = 2000;

let now: number;
let heads: QueueHeads;
let lines: Map<string, string[]>;
/** What each look was told to pass over, and how long one from the start takes. */
let looks: { lanes: string[]; heads: Record<string, string> }[];
let lookMs: number;
let failing: number | null;

beforeEach(() => {
  now = 10_000;
  heads = new QueueHeads(() => now);
  lines = new Map();
  looks = [];
  lookMs = SLOW_MS;
  failing = null;
});

const idOf = (number: number): string => `task-${String(number).padStart(6, '0')}`;
const ready = (lane: string, from: number, count: number): void => {
  const line = lines.get(lane) ?? [];
  lines.set(lane, [...line, ...Array.from({ length: count }, (_, index) => idOf(from + index))].sort());
};

function slotsOf(lane: string, count: number): Slot[] {
  return Array.from({ length: count }, (_, index) => ({ lane, runId: `run-${lane}-${index}` })) as Slot[];
}

/** As the statement does it: of each lane the first that stand behind the place. */
async function claim(slots: readonly Slot[], passed: Heads): Promise<ClaimedRow[]> {
  looks.push({
    lanes: [...new Set(slots.map(({ lane }) => lane))],
    heads: Object.fromEntries([...passed].map(([lane, { id }]) => [lane, id])),
  });
  if (looks.length === failing) throw new Error('the database is away');
  const isFromStart = slots.some(({ lane }) => !passed.has(lane));
  return slots.flatMap((slot) => {
    const line = lines.get(slot.lane) ?? [];
    const index = line.findIndex((id) => id > (passed.get(slot.lane)?.id ?? ''));
    const [id] = index < 0 ? [] : line.splice(index, 1);
    if (id === undefined) return [];
    const row = { id: id as Uuid, run_id: slot.runId, claim_lane: slot.lane, priority: 0, reviewer: null };
    return [{ ...row, look_ms: isFromStart ? lookMs : FAST_MS } as ClaimedRow];
  });
}

const fill = async (slots: readonly Slot[], isAtomic = false): Promise<string[]> =>
  (await heads.fill(BOARD_ID, slots, claim, { isAtomic })).map(({ id }) => id);

/** Until the line of the lane is looked at from a place on: its first 2,003 tasks are claimed by then. */
async function untilSlow(lane = 'a'): Promise<void> {
  ready(lane, 0, MANY + 100);
  await fill(slotsOf(lane, MANY));
  for (let look = 0; look < 3; look += 1) await fill(slotsOf(lane, 1));
  looks = [];
}

describe('the line of a lane', () => {
  test('is looked at from its start as long as looks are fast, however much was claimed', async () => {
    lookMs = FAST_MS;
    await untilSlow();
    expect(await fill(slotsOf('a', 1))).toEqual([idOf(MANY + 3)]);
    expect(looks).toEqual([{ lanes: ['a'], heads: {} }]);
  });

  test('and as long as little was claimed, however slow they are', async () => {
    ready('a', 0, 100);
    for (let look = 0; look < 10; look += 1) await fill(slotsOf('a', 1));
    expect(looks.every((look) => Object.keys(look.heads).length === 0)).toBe(true);
  });

  test('is then looked at from where the last look ended', async () => {
    await untilSlow();
    expect(await fill(slotsOf('a', 2))).toEqual([idOf(MANY + 3), idOf(MANY + 4)]);
    expect(await fill(slotsOf('a', 1))).toEqual([idOf(MANY + 5)]);
    expect(looks.map((look) => look.heads)).toEqual([{ a: idOf(MANY + 2) }, { a: idOf(MANY + 4) }]);
  });

  test('and from its start again after twenty times what that took', async () => {
    await untilSlow();
    ready('a', 5, 1); // Given back, say.
    now += 20 * SLOW_MS - 1;
    expect(await fill(slotsOf('a', 1))).toEqual([idOf(MANY + 3)]);
    now += 1;
    expect(await fill(slotsOf('a', 2))).toEqual([idOf(5), idOf(MANY + 4)]);
    expect(looks.map((look) => look.heads)).toEqual([{ a: idOf(MANY + 2) }, {}]);
  });

  test('which is a second at most', async () => {
    lookMs = 5000;
    await untilSlow();
    now += 999;
    await fill(slotsOf('a', 1));
    now += 1;
    await fill(slotsOf('a', 1));
    expect(looks.map((look) => Object.keys(look.heads).length)).toEqual([1, 0]);
  });

  test('leaves nobody empty-handed before it was looked at from its start', async () => {
    await untilSlow();
    lines.set('a', [idOf(7), idOf(MANY + 50)]);
    expect(await fill(slotsOf('a', 3))).toEqual([idOf(MANY + 50), idOf(7)]);
    expect(looks).toEqual([
      { lanes: ['a'], heads: { a: idOf(MANY + 2) } },
      { lanes: ['a'], heads: {} },
    ]);
  });

  test('is exact again with the first look from the start that is fast', async () => {
    await untilSlow();
    lookMs = FAST_MS;
    now += 1000;
    await fill(slotsOf('a', 1));
    ready('a', 3, 1);
    expect(await fill(slotsOf('a', 1))).toEqual([idOf(3)]);
    expect(looks.map((look) => look.heads)).toEqual([{}, {}]);
  });

  test('is passed for each lane by itself: one that was not looked at yet is, from its start', async () => {
    await untilSlow();
    ready('b', 0, 10);
    expect(await fill([...slotsOf('a', 1), ...slotsOf('b', 1)])).toEqual([idOf(MANY + 3), idOf(0)]);
    expect(await fill([...slotsOf('a', 1), ...slotsOf('b', 1)])).toEqual([idOf(MANY + 4), idOf(1)]);
    expect(looks.map((look) => look.heads)).toEqual([
      { a: idOf(MANY + 2) },
      { a: idOf(MANY + 3), b: idOf(0) },
    ]);
  });

  test('and a lane that was just looked at from its start is not again for another that is empty', async () => {
    await untilSlow();
    await fill([...slotsOf('a', 1), ...slotsOf('b', 1)]);
    expect(looks).toEqual([{ lanes: ['a', 'b'], heads: { a: idOf(MANY + 2) } }]);
  });
});

describe('a second look that fails', () => {
  beforeEach(async () => {
    await untilSlow();
    failing = 2;
  });

  test('takes nothing of the first back', async () => {
    lines.set('a', [idOf(7), idOf(MANY + 50)]);
    expect(await fill(slotsOf('a', 2))).toEqual([idOf(MANY + 50)]);
  });

  test('fails all in a transaction, which it has taken back', async () => {
    lines.set('a', [idOf(7), idOf(MANY + 50)]);
    await expect(fill(slotsOf('a', 2), true)).rejects.toThrow('the database is away');
  });

  test('fails where the first found nothing', async () => {
    lines.set('a', [idOf(7)]);
    await expect(fill(slotsOf('a', 1))).rejects.toThrow('the database is away');
  });
});
