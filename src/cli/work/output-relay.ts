/**
 * Sends what commands print to the server, where people watch it: a few times a second, all runs in one request. Never holds a command
 * back and never repeats a line: under pressure, or while the server is away, the oldest lines are left out, and a line says how many.
 */
import type { Client } from '../../client/client.ts';
import { LanekeeperError } from '../../client/errors.ts';
import { LIMITS } from '../../contract/constants.ts';
import type { KeptClaim } from './heartbeats.ts';
import { LineSplitter } from './line-splitter.ts';
import { cleanText } from './output-tail.ts';
import type { OutputStream } from './process-group.ts';
import { within } from './waiting.ts';

/** Reads as live, and folds a burst into one request. */
const FLUSH_INTERVAL_MS = 250;
/** Of one run: what the server keeps of it, and as much again. */
const LINES_WAITING_MAX = 2 * LIMITS.outputLinesKept;
/** An answer that takes longer is not waited for: lines are no reason to hold anything up. */
const REQUEST_TIMEOUT_MS = 5_000;
/** At the end of a run, whose end is reported next. */
const LAST_FLUSH_MS = 1_000;

export class OutputRelay {
  readonly #client: Client;
  readonly #runs = new Set<RunOutput>();
  #timer: ReturnType<typeof setTimeout> | undefined;
  #sending: Promise<void> = Promise.resolve();
  #isSending = false;
  #mayBatch = true;

  constructor(client: Client) {
    this.#client = client;
  }

  open(claim: KeptClaim): RunOutput {
    const run = new RunOutput(claim, () => this.#sendSoon());
    this.#runs.add(run);
    return run;
  }

  /** Sends what is left of the run, for as long as that may take. Never rejects. */
  async close(run: RunOutput): Promise<void> {
    run.end();
    const sendRest = async (): Promise<void> => {
      await this.#sending;
      if (run.isWaiting) await this.#send([run]);
    };
    await within(sendRest(), LAST_FLUSH_MS);
    this.#runs.delete(run);
  }

  #sendSoon(): void {
    if (this.#isSending) return;
    this.#timer ??= setTimeout(() => this.#flush(), FLUSH_INTERVAL_MS);
  }

  #flush(): void {
    this.#timer = undefined;
    this.#isSending = true;
    this.#sending = this.#send([...this.#runs].filter((run) => run.isWaiting)).then(() => {
      this.#isSending = false;
      if ([...this.#runs].some((run) => run.isWaiting)) this.#sendSoon();
    });
  }

  async #send(runs: readonly RunOutput[]): Promise<void> {
    if (this.#mayBatch && runs.length > 1) {
      for (let start = 0; start < runs.length; start += LIMITS.batchOperationsMax)
        await this.#sendTogether(runs.slice(start, start + LIMITS.batchOperationsMax));
    } else await Promise.all(runs.map((run) => this.#sendOne(run)));
  }

  async #sendOne(run: RunOutput): Promise<void> {
    const { runId, token } = run.claim;
    const lines = run.take();
    try {
      const options = { token, retry: { attemptsMax: 1 }, timeoutMs: REQUEST_TIMEOUT_MS };
      await this.#client.runs.output(runId, lines, options);
    } catch (error) {
      run.lose(lines.length, error);
    }
  }

  async #sendTogether(runs: readonly RunOutput[]): Promise<void> {
    const operations = runs.map((run) => ({
      op: 'output' as const,
      token: run.claim.token,
      lines: run.take(),
    }));
    try {
      const options = { retry: { attemptsMax: 1 }, timeoutMs: REQUEST_TIMEOUT_MS };
      await this.#client.runs.batch(operations, options);
    } catch (error) {
      // The lane key is not accepted for batches (any more): from now on each claim's own token speaks.
      if (error instanceof LanekeeperError && !error.retryable && error.status < 500) this.#mayBatch = false;
      runs.forEach((run, index) => {
        run.lose(operations[index]?.lines.length ?? 0, error);
      });
    }
  }
}

/** What one command prints. */
export class RunOutput {
  readonly claim: KeptClaim;
  readonly #onLine: () => void;
  readonly #splitters = { stdout: new LineSplitter(), stderr: new LineSplitter() };
  #lines: string[] = [];
  /** Left out before the lines that wait. */
  #lostCount = 0;
  #isRefused = false;

  constructor(claim: KeptClaim, onLine: () => void) {
    this.claim = claim;
    this.#onLine = onLine;
  }

  get isWaiting(): boolean {
    return this.#lines.length > 0;
  }

  write(stream: OutputStream, chunk: Uint8Array): void {
    if (this.#isRefused) return;
    for (const line of this.#splitters[stream].push(chunk)) this.#lines.push(keptPartOf(line));
    const excess = this.#lines.length - LINES_WAITING_MAX;
    if (excess > 0) {
      this.#lines = this.#lines.slice(excess);
      this.#lostCount += excess;
    }
    if (this.isWaiting) this.#onLine();
  }

  /** What came last without the end of a line is a line too. */
  end(): void {
    for (const stream of ['stdout', 'stderr'] as const) {
      const rest = this.#splitters[stream].rest();
      if (rest !== '' && !this.#isRefused) this.#lines.push(keptPartOf(rest));
    }
  }

  take(): string[] {
    const lines = this.#lines;
    if (this.#lostCount > 0) lines.unshift(`(${this.#lostCount} lines left out)`);
    this.#lostCount = 0;
    this.#lines = [];
    return lines;
  }

  /** They may have arrived or not: sent again they could stand there twice. */
  lose(count: number, error: unknown): void {
    this.#lostCount += count;
    // The claim is gone, or the server takes no output: heartbeats deal with the one, nothing helps the other.
    if (error instanceof LanekeeperError && !error.retryable && error.status < 500) this.#isRefused = true;
  }
}

/** As much as the server keeps, without what it refuses; never half of a character that takes two. */
function keptPartOf(line: string): string {
  const text = cleanText(line);
  if (text.length <= LIMITS.outputLineCharactersKept) return text;
  const cut = text.slice(0, LIMITS.outputLineCharactersKept);
  return /[\ud800-\udbff]$/.test(cut) ? cut.slice(0, -1) : cut;
}
