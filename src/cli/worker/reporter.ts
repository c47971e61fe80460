/**
 * What a worker tells the person who started it: messages on stderr, the commands' output line by line with the
 * task in front, and with --json one object per ended task on stdout. Never shows a token.
 */
import { LineSplitter } from '../../client/worker/line-splitter.ts';
import type { OutputStream } from '../../client/worker/output-relay.ts';
import type { WorkerLog } from '../../client/worker/worker-log.ts';
import { shortId } from '../format.ts';
import type { Output } from '../output.ts';
import type { RunClaim } from './run-claim.ts';

/** Lines waiting for a terminal or pipe that does not keep up; beyond this they are left out of the display. */
const DISPLAY_BYTES_MAX = 1024 * 1024;

export interface EndRecord {
  readonly task_id: string;
  readonly run_id: string;
  readonly attempt: number;
  /** completed, failed, released, … as the server recorded it; lost and undelivered are ours. */
  readonly outcome: string;
  readonly task_status: string | null;
  readonly detail: string | null;
  readonly seconds: number;
}

export class Reporter implements WorkerLog {
  readonly #output: Output;
  readonly #showsOutput: boolean;

  constructor(output: Output, showsOutput: boolean) {
    this.#output = output;
    this.#showsOutput = showsOutput;
  }

  /** Routine; silent with --quiet. */
  note(text: string): void {
    this.#output.note(text);
  }

  /** What somebody should know even with --quiet. */
  warn(text: string): void {
    this.#output.warn(text);
  }

  started(claim: RunClaim): void {
    this.note(`${shortId(claim.task.id)} started: ${claim.task.title} (attempt ${claim.attempt})`);
  }

  ended(record: EndRecord): void {
    if (this.#output.isJson) this.#output.jsonLine(record);
    const status = record.task_status === null ? '' : `, the task is ${record.task_status}`;
    const detail = record.detail === null ? '' : `: ${record.detail}`;
    this.note(
      `${shortId(record.task_id)} ${record.outcome} after ${record.seconds.toFixed(1)} s${status}${detail}`,
    );
  }

  /** Shows the output of one command, when output is shown at all. */
  display(claim: RunClaim): OutputDisplay | undefined {
    return this.#showsOutput ? new OutputDisplay(this.#output, `[${shortId(claim.task.id)}] `) : undefined;
  }
}

export class OutputDisplay {
  readonly #output: Output;
  readonly #prefix: string;
  readonly #lines = { stdout: new LineSplitter(), stderr: new LineSplitter() };

  constructor(output: Output, prefix: string) {
    this.#output = output;
    this.#prefix = prefix;
  }

  write(stream: OutputStream, chunk: Uint8Array): void {
    for (const line of this.#lines[stream].push(chunk)) this.#show(stream, line);
  }

  /** Shows what came last without the end of a line. */
  end(): void {
    for (const stream of ['stdout', 'stderr'] as const) {
      const rest = this.#lines[stream].rest();
      if (rest !== '') this.#show(stream, rest);
    }
  }

  #show(stream: OutputStream, line: string): void {
    // With --json stdout is for records alone.
    const target = stream === 'stdout' && !this.#output.isJson ? this.#output.stdout : this.#output.stderr;
    if (target.writableLength < DISPLAY_BYTES_MAX) target.write(`${this.#prefix}${line}\n`);
  }
}
