import { expect, test } from 'vitest';
import type { Client } from '../../../src/client/client.ts';
import { OutputRelay } from '../../../src/client/worker/output-relay.ts';
import { type OutputSource, printAll } from '../../../src/client/worker/output-source.ts';
import { RunLine } from '../../../src/client/worker/run-line.ts';
import { LIMITS } from '../../../src/contract/constants.ts';
import { eventually } from '../../fixtures/eventually.ts';

/** A server that takes lines when a test lets it. */
class SlowReceiver {
  readonly lines: string[] = [];
  readonly #held: (() => void)[] = [];
  isOpen = false;

  get heldCount(): number {
    return this.#held.length;
  }

  async output(_: string, lines: readonly string[]): Promise<void> {
    if (!this.isOpen) await new Promise<void>((resolve) => this.#held.push(resolve));
    this.lines.push(...lines);
  }

  open(): void {
    this.isOpen = true;
    for (const go of this.#held.splice(0)) go();
  }
}

function openRun() {
  const receiver = new SlowReceiver();
  const client = { runs: receiver } as unknown as Client;
  const relay = new OutputRelay(client, new RunLine(client));
  const run = relay.open({ runId: 'run', token: 't' });
  return { receiver, relay, run };
}

const numbered = (count: number) => Array.from({ length: count }, (_, index) => `line ${index}`);

test('a producer is held back while the server takes nothing, and no line of it is left out', async () => {
  const { receiver, relay, run } = openRun();
  let produced = 0;
  async function* produce(): AsyncGenerator<string> {
    for (const line of numbered(1_000)) {
      produced += 1;
      yield `${line}\n`;
    }
  }
  const printed = printAll(produce(), run);
  await eventually('the first lines are under way', () => receiver.heldCount > 0);
  await eventually('as many wait as may', () => produced > LIMITS.outputLinesKept);
  // Turn after turn of the event loop, and it produces no more: what is under way, what waits, and the one in its hand.
  for (let turn = 0; turn < 50; turn += 1) await new Promise((resolve) => setImmediate(resolve));
  expect(produced).toBeLessThanOrEqual(2 * LIMITS.outputLinesKept);
  receiver.open();
  await printed;
  await relay.close(run);
  expect(receiver.lines).toEqual(numbered(1_000));
});

test('of one text that is longer than what may wait no line is left out', async () => {
  const { receiver, relay, run } = openRun();
  const printed = printAll(numbered(1_000).join('\n'), run);
  await eventually('the first lines are under way', () => receiver.heldCount > 0);
  receiver.open();
  await printed;
  await relay.close(run);
  expect(receiver.lines).toEqual(numbered(1_000));
});

test('a run whose claim is gone holds no producer back', async () => {
  const { run } = openRun();
  run.close();
  await printAll(numbered(5_000).join('\n'), run);
});

test.each<[string, () => OutputSource]>([
  ['a text', () => 'one\ntwo\r\nth'],
  ['a web stream', () => new Response('one\ntwo\r\nth').body ?? ''],
  [
    'a stream that can only be read by a reader',
    () => {
      const chunks = ['on', 'e\ntwo', '\nth'];
      const read = () => Promise.resolve({ done: chunks.length === 0, value: chunks.shift() });
      return { getReader: () => ({ read }) };
    },
  ],
  [
    'bytes that are cut within a character',
    async function* () {
      const bytes = new TextEncoder().encode('one\ntwo\nth');
      for (const byte of bytes) yield Uint8Array.of(byte);
    },
  ],
])('%s is printed line by line, what comes last too', async (_, source) => {
  const { receiver, relay, run } = openRun();
  receiver.open();
  await printAll(source(), run);
  await relay.close(run);
  expect(receiver.lines).toEqual(['one', 'two', 'th']);
});

test('two who print at once and wait for room lose no line of each other', async () => {
  const { receiver, relay, run } = openRun();
  receiver.open();
  await Promise.all([printAll(numbered(400).join('\n'), run), printAll(numbered(400).join('\n'), run)]);
  await relay.close(run);
  expect(receiver.lines).toHaveLength(800);
  expect(receiver.lines.filter((line) => line.includes('left out'))).toEqual([]);
});
