/** task …: what passes between people and the worker of a task while it works: steering messages, and what it prints. */
import type { Command } from 'commander';
import type { Client } from '../../client/client.ts';
import { LanekeeperError } from '../../client/errors.ts';
import type { OutputFrame } from '../../client/watch/options.ts';
import { LIMITS } from '../../contract/constants.ts';
import { connectionNotes } from '../connection-notes.ts';
import type { Context } from '../context.ts';
import { EXIT, ExitError, UsageError } from '../exit-codes.ts';
import { age, counted, isFinished } from '../format.ts';
import { integerFrom } from '../options.ts';
import { drained, type Output } from '../output.ts';
import { writeTable } from '../table.ts';

interface OutputFlags {
  readonly follow?: boolean;
  readonly tail?: number;
}

export function addLiveCommands(task: Command, contextOf: () => Context): void {
  task
    .command('steer <id> <message>')
    .description(
      'tell the worker of a task something while it works, or the next one. Text, @file, or - for stdin',
    )
    .action((id: string, message: string) => steer(contextOf(), id, message));
  task
    .command('messages <id>')
    .description('list what a task was told, and whether its workers have heard it')
    .action((id: string) => listMessages(contextOf(), id));
  task
    .command('output <id>')
    .alias('logs')
    .description('show the last lines that the workers of a task printed')
    .option('-f, --follow', 'go on with what they print, until the task has finished')
    .option(
      '--tail <n>',
      'begin with the last so many lines (default: all that are kept)',
      integerFrom(0, LIMITS.outputLinesKept),
    )
    .action((id: string, flags: OutputFlags) => showOutput(contextOf(), id, flags));
}

async function steer(context: Context, id: string, message: string): Promise<void> {
  const { output } = context;
  // Files and pipes end with a line end, which is no part of what somebody says.
  const text = (await context.readText(message)).replace(/\r?\n$/, '');
  if (text.trim() === '') throw new UsageError('The message is empty');
  const { tasks } = await context.client();
  const reply = await tasks.steer(id, text).catch(async (error: unknown) => {
    throw (await isFull(tasks, id, error)) ? new ExitError(EXIT.conflict, fullText(id)) : error;
  });
  if (output.isJson) {
    output.json(reply);
    return;
  }
  output.line(reply.message.id);
  if (reply.message.state === 'missed') output.note('The task has finished: nobody will read this.');
}

/** Refused because nobody has taken the messages before it; the same code may also mean that the server is busy. */
async function isFull(tasks: Client['tasks'], id: string, error: unknown): Promise<boolean> {
  if (!(error instanceof LanekeeperError) || error.code !== 'rate_limited') return false;
  const { messages } = await tasks.messages(id).catch(() => ({ messages: [] }));
  const open = messages.filter(({ state }) => state === 'queued' || state === 'delivered');
  return open.length >= LIMITS.messagesMax;
}

function fullText(id: string): string {
  return (
    `Nobody has taken the last ${LIMITS.messagesMax} messages yet, and the task takes no more until somebody has.\n` +
    `Next: lanekeeper task get ${id} shows whether a worker has it, lanekeeper task messages ${id} what it was told`
  );
}

async function listMessages(context: Context, id: string): Promise<void> {
  const { output } = context;
  const reply = await (await context.client()).tasks.messages(id);
  if (output.isJson) {
    output.json(reply);
    return;
  }
  writeTable(output, reply.messages, [
    { title: 'MESSAGE', text: (message) => message.id },
    { title: 'STATE', text: (message) => message.state },
    { title: 'SENT', text: (message) => age(message.at) },
    { title: 'BY', text: (message) => `${message.author.type} ${message.author.id}` },
    { title: 'TEXT', text: (message) => message.text },
  ]);
}

async function showOutput(context: Context, id: string, { follow, tail }: OutputFlags): Promise<void> {
  const client = await context.client();
  if (follow) {
    await new OutputTail(context.output, client, tail).follow(id);
    return;
  }
  const { output } = context;
  const reply = await client.tasks.output(id);
  const lines = lastOf(reply.lines, tail);
  if (output.isJson) {
    output.json({ ...reply, lines });
    return;
  }
  noteEarlier(output, reply.lines, tail);
  for (const { text } of lines) output.printed(text);
}

function lastOf<Line>(lines: readonly Line[], tail: number | undefined): readonly Line[] {
  return tail === undefined ? lines : lines.slice(Math.max(0, lines.length - tail));
}

/** What is left out because it was asked for goes without saying. */
function noteEarlier(output: Output, lines: readonly { number: number }[], tail: number | undefined): void {
  if (tail === undefined || tail >= lines.length) noteNotKept(output, lines[0]?.number ?? 1);
}

function noteNotKept(output: Output, firstNumber: number): void {
  if (firstNumber > 1) output.note(`(${firstNumber - 1} earlier lines not kept)`);
}

/** Frames that wait for a reader of ours who is too slow: some 10 MiB. */
const FRAMES_WAITING_MAX = 100;

/**
 * The output of one task as it grows. Live lines come over the watch; the tail that the server keeps fills what came before, and what
 * was lost with a socket. One step after the other, so that lines come in their order, each once.
 */
class OutputTail {
  readonly #output: Output;
  readonly #client: Client;
  /** Of what was printed before; undefined: all that is kept. */
  readonly #tail: number | undefined;
  #isBegun = false;
  #upToNumber = 0;
  #waitingFrames = 0;
  #steps: Promise<void> = Promise.resolve();

  constructor(output: Output, client: Client, tail: number | undefined) {
    this.#output = output;
    this.#client = client;
    this.#tail = tail;
  }

  async follow(reference: string): Promise<void> {
    const { id } = (await this.#client.tasks.get(reference)).task;
    const leaving = new AbortController();
    let failure: unknown;
    const step = (work: () => Promise<void> | void): void => {
      this.#steps = this.#steps.then(work).catch((error: unknown) => {
        failure ??= error;
        leaving.abort();
      });
    };
    const endWhenFinished = async (): Promise<void> => {
      if (!isFinished((await this.#client.tasks.get(id)).task)) return;
      await this.#readTail(id);
      leaving.abort();
    };
    const notes = connectionNotes(this.#output, this.#client.url);
    const watch = this.#client.watch(
      {
        ...notes,
        tasks: [id],
        onOutput: (frame) => {
          // The tail fills what is left out here, as far as the server has kept it.
          if (this.#waitingFrames >= FRAMES_WAITING_MAX) return;
          this.#waitingFrames += 1;
          step(() => this.#take(frame));
        },
        onState: (state) => {
          notes.onState(state);
          if (state === 'live') step(() => this.#readTail(id).then(endWhenFinished));
        },
      },
      leaving.signal,
    );
    for await (const event of watch)
      if (typeof event.data['status_after'] === 'string') step(endWhenFinished);
    await this.#steps;
    if (failure !== undefined) throw failure;
  }

  async #readTail(id: string): Promise<void> {
    const { lines } = await this.#client.tasks.output(id);
    const [first] = lines;
    if (!this.#isBegun) this.#begin(lines);
    else if (first !== undefined) this.#noteMissing(first.number - this.#upToNumber - 1);
    for (const { number, run_id, text } of lines) this.#print(id, number, run_id, text);
  }

  /** Lines before the tail count as printed. */
  #begin(lines: readonly { number: number }[]): void {
    this.#isBegun = true;
    noteEarlier(this.#output, lines, this.#tail);
    const firstShown = lastOf(lines, this.#tail)[0]?.number;
    const lastKept = lines.at(-1)?.number ?? 0;
    if (this.#tail !== undefined) this.#upToNumber = firstShown === undefined ? lastKept : firstShown - 1;
  }

  async #take(frame: OutputFrame): Promise<void> {
    const { task_id: id, run_id: runId, number, lines } = frame;
    this.#waitingFrames -= 1;
    await drained(this.#output);
    if (number === undefined) return;
    // Something was left out on the way; the server may still have it.
    if (number > this.#upToNumber + 1 && this.#upToNumber > 0) await this.#readTail(id);
    lines.forEach((text, index) => {
      this.#print(id, number + index, runId, text);
    });
  }

  #noteMissing(count: number): void {
    if (count > 0) this.#output.note(`(${counted(count, 'line')} missing here)`);
  }

  #print(taskId: string, number: number, runId: string, text: string): void {
    if (number <= this.#upToNumber) return;
    this.#upToNumber = number;
    if (this.#output.isJson) this.#output.jsonLine({ task_id: taskId, run_id: runId, number, text });
    else this.#output.printed(text);
  }
}
