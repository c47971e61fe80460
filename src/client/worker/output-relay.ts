/**
 * Sends what runs print to the server, where people watch it: a few times a second, all runs in as few requests as their size allows.
 * Never holds back whoever does not ask whether there is room, and never repeats a line that may have arrived: under pressure, or while the
 * server is away, the oldest lines are left out, and a line says how many. Falls silent about a run only when the server says that its
 * claim is gone.
 */
import { LIMITS } from '../../contract/constants.ts';
import { errorOfProblem, LanekeeperError } from '../errors.ts';
import { meansClaimLost } from './heartbeats.ts';
import { LineSplitter } from './line-splitter.ts';
import { firstCharacters, outputText } from './plain-text.ts';
import type { KeptClaim, RunLine } from './run-line.ts';
import { within } from './waiting.ts';
import type { WorkerClient } from './worker-client.ts';

/** Reads as live, and folds a burst into one request. */
const FLUSH_INTERVAL_MS = 250;
/** Of one run: what the server keeps of a task, but for the line that says how many were left out, which would fall out first. */
const LINES_WAITING_MAX = LIMITS.outputLinesKept - 1;
/** Half of what the server takes. One run has at most some 600 kB: 200 lines of 500 characters, six bytes each when all are escaped. */
const BATCH_BYTES_MAX = LIMITS.batchBodyBytesMax / 2;
/** An answer that takes longer is not waited for: lines are no reason to hold anything up. */
const REQUEST_TIMEOUT_MS = 5_000;
/** At the end of a run, whose end is reported next. */
const LAST_FLUSH_MS = 1_000;

export type OutputStream = 'stdout' | 'stderr';

export class OutputRelay {
  readonly #client: WorkerClient;
  readonly #line: RunLine;
  /** Those that have printed, and have not ended. */
  readonly #runs = new Set<RunOutput>();
  #timer: ReturnType<typeof setTimeout> | undefined;
  #sending: Promise<void> = Promise.resolve();
  #isSending = false;
  #mayBatch = true;

  constructor(client: WorkerClient, line: RunLine) {
    this.#client = client;
    this.#line = line;
  }

  open(claim: KeptClaim): RunOutput {
    const run: RunOutput = new RunOutput(claim, () => {
      this.#runs.add(run);
      this.#sendSoon();
    });
    return run;
  }

  /** Sends what is left of the run, for as long as that may take. Never rejects. */
  async close(run: RunOutput): Promise<void> {
    run.end();
    const sendRest = async (): Promise<void> => {
      await this.#sending;
      if (run.isWaiting) await this.#send([run]);
    };
    if (run.hasPrinted) await within(sendRest(), LAST_FLUSH_MS);
    run.close();
    this.#runs.delete(run);
  }

  #sendSoon(): void {
    if (this.#isSending) return;
    this.#timer ??= setTimeout(() => this.#flush(), FLUSH_INTERVAL_MS);
  }

  #flush(): void {
    this.#timer = undefined;
    this.#isSending = true;
    // Lines of a run whose socket is away wait for it.
    const runs = [...this.#runs].filter((run) => run.isWaiting && this.#line.canSay(run.claim));
    this.#sending = this.#send(runs).then(() => {
      this.#isSending = false;
      if ([...this.#runs].some((run) => run.isWaiting)) this.#sendSoon();
    });
  }

  async #send(runs: readonly RunOutput[]): Promise<void> {
    for (const portions of batchesOf(runs.map((run) => run.take()))) {
      const mayBatch = this.#mayBatch && !this.#line.isSocket && portions.length > 1;
      if (mayBatch) await this.#sendTogether(portions);
      else await Promise.all(portions.map((portion) => this.#sendOne(portion)));
    }
  }

  async #sendOne({ run, lines, lineCount }: Portion): Promise<void> {
    try {
      await this.#line.output(run.claim, lines);
    } catch (error) {
      run.lose(lineCount, error);
    }
  }

  async #sendTogether(portions: readonly Portion[]): Promise<void> {
    try {
      const options = { retry: { attemptsMax: 1 }, timeoutMs: REQUEST_TIMEOUT_MS };
      const { results } = await this.#client.runs.batch(portions.map(operationOf), options);
      portions.forEach(({ run, lineCount }, index) => {
        const result = results[index];
        if (result === undefined) run.lose(lineCount, new Error('The batch left it out'));
        else if (!result.ok) run.lose(lineCount, errorOfProblem(result.problem));
      });
    } catch (error) {
      if (!(error instanceof LanekeeperError) || error.retryable || error.status >= 500) {
        for (const { run, lineCount } of portions) run.lose(lineCount, error);
        return;
      }
      // Refused as a whole, so nothing of it was taken: the lane key is not accepted for batches (any more), or something in between wants
      // smaller requests. From now on each claim's own token speaks for its own lines.
      this.#mayBatch = false;
      await Promise.all(portions.map((portion) => this.#sendOne(portion)));
    }
  }
}

/** What one run has to say at one time. */
interface Portion {
  readonly run: RunOutput;
  readonly lines: readonly string[];
  /** For how many printed lines they stand: those that were left out are one line here. */
  readonly lineCount: number;
}

interface OutputOperation {
  readonly op: 'output';
  readonly token: string;
  readonly lines: string[];
}

function operationOf({ run, lines }: Portion): OutputOperation {
  // One without a token is refused, as it would be alone: its socket is the proof.
  return { op: 'output', token: run.claim.token ?? 'none', lines: [...lines] };
}

/** As few requests as the bounds of one allow; a run alone is always within them. */
function* batchesOf(portions: readonly Portion[]): Generator<readonly Portion[]> {
  let batch: Portion[] = [];
  let batchBytes = 0;
  for (const portion of portions) {
    const bytes = new TextEncoder().encode(JSON.stringify(operationOf(portion))).length;
    const isFull = batch.length >= LIMITS.batchOperationsMax || batchBytes + bytes > BATCH_BYTES_MAX;
    if (isFull && batch.length > 0) {
      yield batch;
      batch = [];
      batchBytes = 0;
    }
    batch.push(portion);
    batchBytes += bytes;
  }
  if (batch.length > 0) yield batch;
}

/** What one run prints. */
export class RunOutput {
  readonly claim: KeptClaim;
  readonly #onLine: () => void;
  readonly #splitters = { stdout: new LineSplitter(), stderr: new LineSplitter() };
  #lines: string[] = [];
  /** Left out before the lines that wait. */
  #lostCount = 0;
  #isRefused = false;
  #hasPrinted = false;
  #onRoom: (() => void)[] = [];

  constructor(claim: KeptClaim, onLine: () => void) {
    this.claim = claim;
    this.#onLine = onLine;
  }

  get isWaiting(): boolean {
    return this.#lines.length > 0;
  }

  /** Anything at all: else there is nothing to wait for at its end. */
  get hasPrinted(): boolean {
    return this.#hasPrinted;
  }

  write(stream: OutputStream, chunk: Uint8Array): void {
    if (!this.#isRefused) this.append(this.#splitters[stream].push(chunk));
  }

  append(lines: readonly string[]): void {
    if (this.#isRefused) return;
    this.#keep(lines);
    if (this.isWaiting) this.#onLine();
  }

  /**
   * Appends as many, from `start` on, as there is room for before others would be left out, and says how many; all, once nobody takes any. To
   * ask for room first and append then was not enough: two who print at once were both told of the same room.
   */
  appendSome(lines: readonly string[], start: number): number {
    if (this.#isRefused) return lines.length - start;
    const some = lines.slice(start, start + LINES_WAITING_MAX - this.#lines.length);
    this.append(some);
    return some.length;
  }

  /** Resolves when there may be room again. */
  untilRoom(): Promise<void> {
    if (this.#isRefused || this.#lines.length < LINES_WAITING_MAX) return Promise.resolve();
    return new Promise((resolve) => this.#onRoom.push(resolve));
  }

  /** What came last without the end of a line is a line too. */
  end(): void {
    for (const stream of ['stdout', 'stderr'] as const) {
      const rest = this.#splitters[stream].rest();
      if (rest !== '' && !this.#isRefused) this.#keep([rest]);
    }
  }

  take(): Portion {
    const lostCount = this.#lostCount;
    const lines =
      lostCount > 0
        ? [`(${lostCount} ${lostCount === 1 ? 'line' : 'lines'} left out)`, ...this.#lines]
        : this.#lines;
    const lineCount = lostCount + this.#lines.length;
    this.#lostCount = 0;
    this.#lines = [];
    this.#tellRoom();
    return { run: this, lines, lineCount };
  }

  /** They may have arrived or not: sent again they could stand there twice. */
  lose(count: number, error: unknown): void {
    this.#lostCount += count;
    // What that means for the command is the heartbeats' matter.
    if (meansClaimLost(error)) this.close();
  }

  /** Takes no more. */
  close(): void {
    this.#isRefused = true;
    this.#tellRoom();
  }

  #tellRoom(): void {
    const waiting = this.#onRoom;
    this.#onRoom = [];
    for (const resolve of waiting) resolve();
  }

  #keep(lines: readonly string[]): void {
    if (lines.length > 0) this.#hasPrinted = true;
    for (const line of lines) this.#lines.push(keptPartOf(line));
    const excess = this.#lines.length - LINES_WAITING_MAX;
    if (excess <= 0) return;
    this.#lines = this.#lines.slice(excess);
    this.#lostCount += excess;
  }
}

/** As much as the server keeps, without what it refuses; never half of a character that takes two. */
function keptPartOf(line: string): string {
  return firstCharacters(outputText(line), LIMITS.outputLineCharactersKept);
}
