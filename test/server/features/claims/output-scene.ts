/** One board's output on this server, and one watch of it; the database is a script. */
import { expect } from 'vitest';
import type { ServerFrame } from '../../../../src/contract/frames.ts';
import type { Growth } from '../../../../src/server/features/claims/output/growth.ts';
import { OutputFeed } from '../../../../src/server/features/claims/output/output-feed.ts';
import type { Uuid } from '../../../../src/server/kernel/ids.ts';
import { eventually } from '../../../fixtures/eventually.ts';

const TASK = '01900000-0000-7000-8000-000000000001' as Uuid;
export const RUN = '01900000-0000-7000-8000-000000000002' as Uuid;
export const AT = '2026-01-01T00:00:01.000Z';

export const neverEnded = (): void => expect.unreachable('the watch was ended');

type OutputFrame = Extract<ServerFrame, { type: 'output' }>;

export class OutputScene {
  /** The number of the newest line there is, by the header. */
  newest = 0;
  /** The oldest line that the ring still has. */
  oldest = 1;
  reads = 0;
  hasRoom = true;
  refusals = 0;
  /** Of everything that is appended. */
  at = AT;
  /** Set: the next read of a ring waits for it, and has been asked for before. */
  gate: Promise<void> | undefined;
  readonly frames: OutputFrame[] = [];
  readonly errors: unknown[] = [];
  readonly feed: OutputFeed;

  constructor() {
    const sql = (strings: TemplateStringsArray): Promise<unknown[]> => this.#answer(strings[0] ?? '');
    this.feed = new OutputFeed({ id: 1, name: 'board', incarnation: 'x' } as never, {
      sql: sql as never,
      onError: (error) => void this.errors.push(error),
    });
  }

  /** One watch, as from the beginning of the test. */
  async watch(): Promise<this> {
    await this.feed.begin();
    this.feed.add({
      board: { id: 1 } as never,
      filter: { kinds: null, lanes: null, tasks: null },
      hasRoom: () => {
        if (!this.hasRoom) this.refusals += 1;
        return this.hasRoom;
      },
      send: (tail, dropped) => {
        const { wire } = tail.frameAfter(`{"type":"output","dropped":${dropped},`);
        this.frames.push(JSON.parse(wire.toString('utf8', wire.indexOf('{'))));
        return true;
      },
      end: neverEnded,
    });
    return this;
  }

  /** Numbers of the lines sent, in order, and -n for n dropped. */
  get seen(): number[] {
    return this.frames.flatMap(({ dropped, lines }) => [
      ...(dropped ? [-dropped] : []),
      ...lines.map(Number),
    ]);
  }

  async untilSeen(...numbers: number[]): Promise<void> {
    await eventually(`${numbers.join()} after ${this.seen.join()}`, () => this.seen.length >= numbers.length);
    expect(this.seen).toEqual(numbers);
    expect(this.errors).toEqual([]);
  }

  publish(from: number, to: number): void {
    const numbers = Array.from({ length: to - from + 1 }, (_, index) => from + index).slice(-200);
    const lines = numbers.map((number) => ({ number, runId: RUN, text: String(number) }));
    this.newest = Math.max(this.newest, to);
    const growth: Growth = {
      taskId: TASK,
      lane: 'work',
      at: this.at,
      lines,
      afterNumber: from - 1,
      upToNumber: to,
    };
    this.feed.publish(growth);
  }

  async #answer(statement: string): Promise<unknown[]> {
    if (statement.includes('outputs.read_clock')) return [{ at: AT }];
    if (statement.includes('outputs.list_grown'))
      return this.newest === 0
        ? []
        : [{ task_id: TASK, line_count: this.newest, updated_at: this.at, lane: 'work' }];
    this.reads += 1;
    const { newest, gate } = this;
    this.gate = undefined;
    await gate;
    const rows: unknown[] = [];
    for (let number = this.oldest; number <= newest; number += 1)
      rows.push({ task_id: TASK, number, run_id: RUN, at: this.at, text: String(number) });
    return rows;
  }
}
