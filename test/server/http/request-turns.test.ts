import { describe, expect, test, vi } from 'vitest';
import { RequestTurns, UNDER_WAY_PER_CLAIM_MAX } from '../../../src/server/http/request-turns.ts';
import type { ClaimPrincipal, KeyPrincipal } from '../../../src/server/kernel/principal.ts';
import { ProblemError } from '../../../src/server/kernel/problem-error.ts';

const settle = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

const key = (keyId: string): KeyPrincipal => ({
  kind: 'key',
  keyId,
  role: 'orchestrator',
  name: keyId,
  boards: '*',
  lane: null,
  owner: null,
  expiresAt: null,
  hasMcpAliases: false,
});

const laneKey = (keyId: string, lane: string): KeyPrincipal => ({
  ...key(keyId),
  role: 'lane',
  boards: new Set(['b']),
  lane,
});

const claim = (runId: string, lane = 'work'): ClaimPrincipal => ({
  kind: 'claim',
  runId,
  taskId: 'task',
  board: 'b',
  lane,
  worker: 'w',
  attempt: 1,
  scope: [],
  expiresAtSeconds: 0,
  issuedAtSeconds: 0,
});

/** Work that ends when the test says so, in the order in which it began. */
class Stage {
  readonly begun: string[] = [];
  readonly #ends: (() => void)[] = [];

  readonly work = (name: string) => (): Promise<string> => {
    this.begun.push(name);
    return new Promise((resolve) => this.#ends.push(() => resolve(name)));
  };

  async endFirst(): Promise<void> {
    this.#ends.shift()?.();
    await settle();
  }

  async endAll(): Promise<void> {
    while (this.#ends.length > 0) await this.endFirst();
  }
}

const refusalOf = (work: () => unknown): unknown => {
  try {
    return work();
  } catch (error) {
    return error instanceof ProblemError ? [error.code, error.headers['Retry-After']] : error;
  }
};

describe('requests of one claim token', () => {
  test('are bounded in number, and each that has been answered makes room for another', () => {
    const turns = new RequestTurns();
    const enter = () => turns.enter(claim('run'), false);
    const places = Array.from({ length: UNDER_WAY_PER_CLAIM_MAX }, enter);
    expect(refusalOf(enter)).toEqual(['rate_limited', '1']);
    places[0]?.leave();
    enter();
    expect(refusalOf(enter)).toEqual(['rate_limited', '1']);
    // Neither another claim's nor a key's are counted with them.
    for (let count = 0; count < 10 * UNDER_WAY_PER_CLAIM_MAX; count += 1) turns.enter(key('admin'), false);
    expect(refusalOf(() => turns.enter(claim('other'), false))).toHaveProperty('leave');
  });

  test('that wait are no part of that, and have a bound of their own', () => {
    const turns = new RequestTurns();
    const wait = () => turns.enter(claim('run'), true);
    for (let count = 0; count < 4 * UNDER_WAY_PER_CLAIM_MAX; count += 1) wait();
    expect(refusalOf(wait)).toEqual(['rate_limited', '1']);
    expect(refusalOf(() => turns.enter(claim('run'), false))).toHaveProperty('leave');
  });
});

describe('turns', () => {
  test('are waited for behind one’s own requests only, whatever another principal has queued or keeps waiting', async () => {
    const turns = new RequestTurns();
    const stage = new Stage();
    const loud = Array.from({ length: 100 }, (_, index) =>
      turns.run(key('loud'), stage.work(`loud ${index}`)),
    );
    await settle();
    const atOnce = stage.begun.length;
    // Of eight connections, half are left.
    expect(atOnce).toBeLessThanOrEqual(4);
    const quiet = [turns.run(key('quiet'), stage.work('quiet')), turns.run(claim('run'), stage.work('run'))];
    await settle();
    expect(stage.begun.slice(atOnce)).toEqual(['quiet', 'run']);
    await stage.endAll();
    await Promise.all([...loud, ...quiet]);
    const inOrder = Array.from({ length: 100 }, (_, index) => `loud ${index}`);
    expect(stage.begun.filter((name) => name.startsWith('loud'))).toEqual(inOrder);
  });

  test('are shared by all that is of one lane: its keys and the tokens of its claims', async () => {
    const turns = new RequestTurns();
    const stage = new Stage();
    const lane = Array.from({ length: 30 }, (_, index) =>
      turns.run(index % 2 ? claim(`run-${index}`) : laneKey(`key-${index}`, 'work'), stage.work('lane')),
    );
    const other = turns.run(claim('run', 'other'), stage.work('other'));
    await settle();
    expect(stage.begun.toSorted()).toEqual(['lane', 'lane', 'lane', 'lane', 'other']);
    await stage.endAll();
    await Promise.all([...lane, other]);
  });

  test('are waited for by so many of one principal that others find room, and come back whatever became of the work', async () => {
    const turns = new RequestTurns();
    const stage = new Stage();
    const answers: Promise<unknown>[] = [];
    const refused: unknown[] = [];
    for (let count = 0; count < 4000; count += 1)
      answers.push(turns.run(key('loud'), stage.work('loud')).catch((error: unknown) => refused.push(error)));
    await settle();
    expect(refused).toHaveLength(2000);
    expect(refused[0]).toMatchObject({ code: 'rate_limited', headers: { 'Retry-After': '1' } });
    answers.push(turns.run(key('quiet'), () => Promise.reject(new Error('its own'))).catch(() => 'failed'));
    await stage.endAll();
    expect((await Promise.all(answers)).at(-1)).toBe('failed');
    // All of it is free again.
    const again = Array.from({ length: 2000 }, () => turns.run(key('loud'), () => Promise.resolve('done')));
    expect(new Set(await Promise.all(again))).toEqual(new Set(['done']));
  });

  test('that do not come in time are answered as when the database is away; what was begun keeps its own error', async () => {
    vi.useFakeTimers();
    try {
      const turns = new RequestTurns();
      for (let count = 0; count < 4; count += 1) void turns.run(key('a'), () => new Promise(() => undefined));
      const late = expect(turns.run(key('a'), () => Promise.resolve())).rejects.toMatchObject({
        code: 'database_unavailable',
        headers: { 'Retry-After': '2' },
      });
      await vi.advanceTimersByTimeAsync(8000);
      await late;
    } finally {
      vi.useRealTimers();
    }
    const limited = new ProblemError('rate_limited', 'of the work');
    await expect(new RequestTurns().run(key('a'), () => Promise.reject(limited))).rejects.toBe(limited);
  });
});
