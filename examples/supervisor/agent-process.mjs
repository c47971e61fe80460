// One long-lived child process, kept warm across many tasks, and all that may go wrong with it: it does not start, it dies, it falls silent,
// it does not listen. Talks JSON lines over its stdin and stdout (README.md). Knows nothing of Lanekeeper, and never decides
// what becomes of a task: it answers how the child has ended it, or throws AgentFailure.

import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { setTimeout as delay } from 'node:timers/promises';

/**
 * @typedef {{ type: 'done', summary?: string, result?: any } | { type: 'failed', error: string, permanent?: boolean, retry_after_seconds?: number }
 *   | { type: 'blocked', reason: string } | { type: 'interrupted' }} AgentEnd
 * @typedef {{ value: number, note?: string, checkpoint?: any }} AgentProgress
 * @typedef {{ run: string, [more: string]: unknown }} AgentTask
 * @typedef {{ begun: () => void, output: (line: string) => void, progress: (progress: AgentProgress) => void }} Hearer
 * @typedef {{ argv: readonly string[], env: Record<string, string | undefined>, stallMs: number, graceMs: number }} AgentOptions
 * @typedef {import('node:child_process').ChildProcessWithoutNullStreams} Child
 * @typedef {{ run: string, hearer: Hearer, heard: () => void, end: (end: AgentEnd) => void, fail: (failure: AgentFailure) => void }} TaskAtHand
 */

/** From a death to the next start: at first, and at most after many in a row. Somebody who mends it should not wait for long. */
const BACKOFF_MS = 100;
const BACKOFF_MAX_MS = 30_000;
/** Deaths in a row after which a task waits no longer for a start: it is better off elsewhere, or later. */
const DEATHS_MAX = 3;
/** Until it says that it is ready: loading a large model takes minutes. */
const START_MS = 10 * 60_000;
/** Between TERM and KILL, as `lanekeeper work` gives its commands. */
const KILL_AFTER_MS = 5_000;
/** For what the dead has said last: pipes drain in microseconds, unless somebody who left its group holds them. */
const LATE_OUTPUT_MS = 1_000;
const ENDS = ['done', 'failed', 'blocked', 'interrupted'];

/** The child could not do its part. */
export class AgentFailure extends Error {
  /** @param {string} message @param {{ hasBegun?: boolean }} [about] */
  constructor(message, { hasBegun = true } = {}) {
    super(message);
    /** false: the child never saw the task. */
    this.hasBegun = hasBegun;
  }
}

export class AgentProcess {
  /** @type {AgentOptions} */ #options;
  /** The child, once it takes tasks. @type {Promise<Child>} */ #ready;
  /** @type {Child | null} */ #child = null;
  /** The child has died, and all that it said was heard. @type {Promise<void>} */ #gone = Promise.resolve();
  /** @type {TaskAtHand | null} */ #task = null;
  #deaths = 0;
  #lastWords = '';
  #isClosed = false;
  /** @type {() => void} */ #becameReady = () => undefined;

  /** @param {AgentOptions} options */
  constructor(options) {
    this.#options = options;
    this.#ready = this.#start();
  }

  /**
   * Gives the child a task. Heard of meanwhile: that it has it, what it prints, and its progress.
   * @param {AgentTask} task its end must name the run: a late end of the task before is none of this one
   * @param {Hearer} hearer
   * @param {AbortSignal} signal asks the child to stop, and makes it when it does not
   * @returns {Promise<AgentEnd>}
   */
  async work(task, hearer, signal) {
    const child = await this.#untilReady(signal);
    try {
      const end = await this.#converse(child, { task, hearer, signal });
      this.#deaths = 0;
      return end;
    } catch (error) {
      await this.#stop(child); // One that has lost the thread takes no other task.
      throw error;
    }
  }

  /** What people say to the task at hand. @param {string} text */
  tell(text) {
    this.#write({ type: 'message', run: this.#task?.run, text });
  }

  async close() {
    this.#isClosed = true;
    if (this.#child !== null) await this.#stop(this.#child);
  }

  // A task

  /** @param {Child} child @param {{ task: AgentTask, hearer: Hearer, signal: AbortSignal }} about @returns {Promise<AgentEnd>} */
  #converse(child, { task, hearer, signal }) {
    const { stallMs, graceMs } = this.#options;
    /** @type {NodeJS.Timeout | undefined} */ let timer;
    /** @param {number} ms @param {() => void} then */
    const arm = (ms, then) => {
      clearTimeout(timer);
      timer = setTimeout(then, ms);
    };
    const over = new AbortController();
    /** @type {Promise<AgentEnd>} */
    const ended = new Promise((end, fail) => {
      /** @param {string} message */
      const giveUp = (message) => fail(new AgentFailure(message));
      const heard = () => {
        if (!signal.aborted) arm(stallMs, nudge);
      };
      const nudge = () => {
        this.#write({ type: 'nudge', run: task.run });
        arm(graceMs, () => giveUp(`the agent said nothing for ${(stallMs + graceMs) / 1000} s`));
      };
      const interrupt = () => {
        this.#write({ type: 'interrupt', run: task.run, reason: String(signal.reason) });
        arm(graceMs, () => giveUp('the agent did not stop when it was told to'));
      };
      this.#task = { run: task.run, hearer, heard, end, fail };
      if (child !== this.#child) giveUp('the agent was gone');
      heard();
      this.#write({ type: 'task', ...task });
      hearer.begun();
      signal.addEventListener('abort', interrupt, { signal: over.signal });
      if (signal.aborted) interrupt();
    });
    return ended.finally(() => {
      this.#task = null;
      clearTimeout(timer);
      over.abort();
    });
  }

  /** @param {AbortSignal} signal */
  async #untilReady(signal) {
    const over = new AbortController();
    /** @type {Promise<never>} */
    const aborted = new Promise((_, reject) => {
      const stop = () => reject(signal.reason);
      if (signal.aborted) stop();
      signal.addEventListener('abort', stop, { signal: over.signal });
    });
    try {
      for (;;) {
        const child = await Promise.race([this.#ready, aborted]).catch((error) => {
          if (signal.aborted || this.#deaths >= DEATHS_MAX) throw error;
          return null;
        });
        if (child !== null) return child;
      }
    } finally {
      over.abort();
    }
  }

  // The process

  /** @returns {Promise<Child>} once it takes tasks; rejected when it dies before */
  #start() {
    const [command = '', ...args] = this.#options.argv;
    // In a group of its own: what it starts is stopped with it, and a Ctrl-C is ours alone.
    const child = spawn(command, args, { env: this.#options.env, detached: true });
    this.#child = child;
    this.#lastWords = '';
    child.stdin.on('error', () => undefined); // It has died, and 'exit' says so.
    createInterface({ input: child.stdout }).on('line', (line) => this.#read(line));
    createInterface({ input: child.stderr }).on('line', (line) => this.#hear(line));
    /** @type {Promise<Child>} */
    const started = new Promise((resolve, reject) => {
      const slow = setTimeout(() => void this.#stop(child), START_MS);
      this.#gone = deathOf(child).then((how) => {
        clearTimeout(slow);
        reject(new AgentFailure(`the agent does not start: ${how}${this.#lastWords}`, { hasBegun: false }));
        this.#onDeath(how);
      });
      this.#becameReady = () => {
        clearTimeout(slow);
        resolve(child);
      };
    });
    started.catch(() => undefined); // Whoever has a task for it hears of that.
    return started;
  }

  /** @param {string} how */
  #onDeath(how) {
    this.#child = null;
    this.#task?.fail(new AgentFailure(`the agent died with ${how}${this.#lastWords}`));
    if (this.#isClosed) return;
    this.#deaths += 1;
    const ms = Math.min(BACKOFF_MS * 2 ** (this.#deaths - 1), BACKOFF_MAX_MS) * (1 + Math.random());
    this.#ready = delay(ms, undefined, { ref: false }).then(() => this.#start());
    this.#ready.catch(() => undefined);
  }

  /** TERM, time to clean up, KILL; over when it is gone. @param {Child} child */
  async #stop(child) {
    if (child !== this.#child) return;
    signalGroup(child, 'SIGTERM');
    const timer = setTimeout(() => signalGroup(child, 'SIGKILL'), KILL_AFTER_MS);
    await this.#gone;
    clearTimeout(timer);
  }

  // Lines

  /** @param {object} message */
  #write(message) {
    if (this.#child?.stdin.writable === true) this.#child.stdin.write(`${JSON.stringify(message)}\n`);
  }

  /** @param {string} line of stdout: a message, or anything else that it prints */
  #read(line) {
    const message = parse(line);
    const isOfTask = message !== null && message.run === this.#task?.run;
    if (message?.type === 'ready') this.#becameReady();
    else if (isOfTask && message.type === 'progress') this.#task?.hearer.progress(message);
    else if (isOfTask && ENDS.includes(message.type)) this.#task?.end(message);
    else this.#hear(line);
    this.#task?.heard();
  }

  /** @param {string} line */
  #hear(line) {
    this.#lastWords = `: ${line}`;
    this.#task?.hearer.output(line);
    this.#task?.heard();
  }
}

/** @param {string} line @returns {any} null: it is no message */
function parse(line) {
  try {
    return JSON.parse(line);
  } catch {
    return null;
  }
}

/** How it died, once all that it said was heard. @param {Child} child @returns {Promise<string>} */
function deathOf(child) {
  return new Promise((resolve) => {
    child.once('error', ({ message }) => resolve(message)); // There never was one.
    child.once('exit', (code, name) => {
      const how = code === null ? `signal ${name}` : `exit code ${code}`;
      signalGroup(child, 'SIGKILL'); // What it has left running, and would keep its output open.
      child.once('close', () => resolve(how));
      setTimeout(() => resolve(how), LATE_OUTPUT_MS).unref();
    });
  });
}

/** @param {Child} child @param {NodeJS.Signals} name */
function signalGroup({ pid }, name) {
  try {
    if (pid !== undefined) process.kill(-pid, name);
  } catch {
    // Nobody is left.
  }
}
