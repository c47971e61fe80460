import { expect, onTestFinished, test, vi } from 'vitest';
import type { Client } from '../../../src/client/client.ts';
import { LanekeeperError } from '../../../src/client/errors.ts';
import { OutputRelay, type RunOutput } from '../../../src/client/worker/output-relay.ts';
import type { PushStateName } from '../../../src/client/worker/push-machine.ts';
import { RunLine } from '../../../src/client/worker/run-line.ts';
import { LIMITS } from '../../../src/contract/constants.ts';

interface Operation {
  readonly token: string;
  readonly lines: string[];
}

/** A server that takes what it is sent, unless a test says otherwise. */
class Receiver {
  /** In the order of arrival, by run. */
  readonly lines: Record<string, string[]> = {};
  readonly batches: Operation[][] = [];
  refuseBatchesWith: Error | undefined;
  /** A problem for the operation of this token. */
  refusals: Record<string, object> = {};

  asClient(): Client {
    return { runs: this } as unknown as Client;
  }

  open(relay: OutputRelay, name: string): RunOutput {
    return relay.open({ runId: name, token: name });
  }

  async output(_: string, lines: string[], { token }: { token: string }): Promise<void> {
    this.#take(token, lines);
  }

  async batch(operations: Operation[]): Promise<object> {
    this.batches.push(operations);
    if (this.refuseBatchesWith !== undefined) throw this.refuseBatchesWith;
    const results = operations.map(({ token, lines }) => {
      const problem = this.refusals[token];
      if (problem !== undefined) return { ok: false, problem };
      this.#take(token, lines);
      return { ok: true, accepted: lines.length };
    });
    return { results };
  }

  #take(token: string, lines: string[]): void {
    this.lines[token] = [...(this.lines[token] ?? []), ...lines];
  }
}

const relayTo = (receiver: Receiver) =>
  new OutputRelay(receiver.asClient(), new RunLine(receiver.asClient()));
const poll = <T>(read: () => T) => expect.poll(read, { timeout: 10_000, interval: 20 });
const print = (run: RunOutput, ...lines: string[]) =>
  run.write('stdout', Buffer.from(lines.map((line) => `${line}\n`).join('')));
const numbered = (from: number, to: number) =>
  Array.from({ length: to - from + 1 }, (_, index) => `line ${from + index}`);
const refusal = (status: number) =>
  new LanekeeperError({ code: 'unexpected_answer', status, title: 't', detail: 'd' });

test('a burst keeps its last lines, and the line that says how many are missing fits with them into what the server keeps', async () => {
  const receiver = new Receiver();
  const relay = relayTo(receiver);
  const run = receiver.open(relay, 'a');
  print(run, ...numbered(1, 1000));
  run.write('stdout', Buffer.from('line 1001'));
  await relay.close(run);
  const kept = LIMITS.outputLinesKept - 1;
  expect(receiver.lines['a']).toEqual([`(${1001 - kept} lines left out)`, ...numbered(1002 - kept, 1001)]);
});

test('many chatty runs go in as few requests as the bound of a body allows', async () => {
  const receiver = new Receiver();
  const relay = relayTo(receiver);
  const runs = Array.from({ length: 40 }, (_, index) => receiver.open(relay, `run-${index}`));
  // Escaped in JSON, each of these characters takes six bytes.
  for (const run of runs) print(run, ...Array.from({ length: 199 }, () => '\u0001'.repeat(500)));
  await poll(() => Object.keys(receiver.lines).length).toBe(40);
  const sizes = receiver.batches.map((operations) => Buffer.byteLength(JSON.stringify({ operations })));
  expect(Math.max(...sizes)).toBeLessThan(LIMITS.batchBodyBytesMax);
  expect(receiver.batches.length).toBeLessThan(10);
});

test('a batch that is refused as a whole is sent one by one, without losing a line', async () => {
  for (const status of [403, 413]) {
    const receiver = new Receiver();
    receiver.refuseBatchesWith = refusal(status);
    const relay = relayTo(receiver);
    const [a, b] = [receiver.open(relay, 'a'), receiver.open(relay, 'b')];
    print(a, 'one');
    print(b, 'one');
    await poll(() => receiver.lines).toEqual({ a: ['one'], b: ['one'] });
    print(a, 'two');
    print(b, 'two');
    await poll(() => receiver.lines).toEqual({ a: ['one', 'two'], b: ['one', 'two'] });
    expect(receiver.batches).toHaveLength(1);
  }
});

test('a result that is refused concerns its run alone: for good when its claim is gone, else for these lines', async () => {
  const receiver = new Receiver();
  receiver.refusals = {
    gone: { code: 'claim_lost', status: 409 },
    busy: { code: 'rate_limited', status: 429 },
  };
  const relay = relayTo(receiver);
  const runs = ['well', 'gone', 'busy'].map((name) => receiver.open(relay, name));
  for (const run of runs) print(run, 'one', 'two');
  await poll(() => receiver.lines).toEqual({ well: ['one', 'two'] });
  receiver.refusals = {};
  for (const run of runs) print(run, 'three');
  await poll(() => receiver.lines).toEqual({
    well: ['one', 'two', 'three'],
    busy: ['(2 lines left out)', 'three'],
  });
});

test('what is printed after the end of a run is not kept, also when it was the first', async () => {
  const receiver = new Receiver();
  const relay = relayTo(receiver);
  const run = receiver.open(relay, 'a');
  await relay.close(run);
  run.append(['late']);
  expect(run.isWaiting).toBe(false);
});

test('lines of a run that only a socket speaks for wait while that is away', async () => {
  const receiver = new Receiver();
  const line = new RunLine(receiver.asClient());
  const sent: string[] = [];
  const socket = {
    state: 'backing_off' as PushStateName,
    output: async (_: string, lines: readonly string[]) => void sent.push(...lines),
    end: () => Promise.reject(new Error('not asked for')),
    heartbeat: () => Promise.reject(new Error('not asked for')),
    acknowledge: () => Promise.resolve(),
  };
  line.use(socket);
  vi.useFakeTimers();
  onTestFinished(() => void vi.useRealTimers());
  const relay = new OutputRelay(receiver.asClient(), line);
  relay.open({ runId: 'a', token: null }).append(['one']);
  await vi.advanceTimersByTimeAsync(2_000);
  expect(sent).toEqual([]);
  socket.state = 'live';
  await vi.advanceTimersByTimeAsync(1_000);
  expect(sent).toEqual(['one']);
});

test('a line keeps its colours, and loses what else steers a terminal', async () => {
  const receiver = new Receiver();
  const relay = relayTo(receiver);
  const run = receiver.open(relay, 'run');
  print(run, '\u001b[31mred\u001b[0m\u001b[2K and \u001b]0;title\u0007plain\u0000');
  await poll(() => receiver.lines['run']).toEqual(['\u001b[31mred\u001b[0m and plain\ufffd']);
});
