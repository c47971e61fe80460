/** New lines of one task on their way to all who watch it here. Their text is made once, however many watches there are. */
import { formatId, type Uuid } from '../../../kernel/ids.ts';
import { SharedTail } from '../../../ws/prepared-frame.ts';
import type { NumberedLine } from './growth.ts';

/** In one frame: some 100 KiB, and half a megabyte at worst. */
const FRAME_LINES_MAX = 200;

/** Consecutive lines of one run, in one frame. */
class LinePortion {
  readonly runId: Uuid;
  readonly lines: readonly string[];
  readonly #taskId: Uuid;
  readonly #number: number;
  #tail: SharedTail | undefined;

  constructor(taskId: Uuid, number: number, runId: Uuid, lines: readonly string[]) {
    this.runId = runId;
    this.lines = lines;
    this.#taskId = taskId;
    this.#number = number;
  }

  /** Of its frames: all but the id of the watch, and what it has lost. */
  get tail(): SharedTail {
    this.#tail ??= tailOf(this.#taskId, this.runId, { number: this.#number, lines: this.lines });
    return this.#tail;
  }
}

export interface Parcel {
  readonly taskId: Uuid;
  /** As filters have it. */
  readonly task: string;
  readonly lane: string | null;
  /** Before the first of its lines: those that nobody can be sent any more. */
  readonly lost: number;
  readonly portions: readonly LinePortion[];
}

export function parcelOf(
  taskId: Uuid,
  lane: string | null,
  lines: readonly NumberedLine[],
  lost: number,
): Parcel {
  return { taskId, task: formatId('task', taskId), lane, lost, portions: portionsOf(taskId, lines) };
}

/** Of a frame that only says what was lost. */
export function emptyTail(taskId: Uuid, runId: Uuid): SharedTail {
  return tailOf(taskId, runId, { lines: [] });
}

function tailOf(
  taskId: Uuid,
  runId: Uuid,
  content: { readonly number?: number; readonly lines: readonly string[] },
): SharedTail {
  const members = { task_id: formatId('task', taskId), run_id: formatId('run', runId), ...content };
  return new SharedTail(JSON.stringify(members).slice(1));
}

/** Lines of one run after the other. */
function portionsOf(taskId: Uuid, lines: readonly NumberedLine[]): LinePortion[] {
  const portions: LinePortion[] = [];
  for (let start = 0; start < lines.length; ) {
    const first = lines[start];
    if (first === undefined) break;
    let end = start + 1;
    while (end - start < FRAME_LINES_MAX && lines[end]?.runId === first.runId) end += 1;
    const texts = lines.slice(start, end).map(({ text }) => text);
    portions.push(new LinePortion(taskId, first.number, first.runId, texts));
    start = end;
  }
  return portions;
}
