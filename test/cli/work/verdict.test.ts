import { describe, expect, test } from 'vitest';
import { WORK_READING } from '../../../src/cli/work/completion.ts';
import { OutputTail } from '../../../src/cli/worker/output-tail.ts';
import type { ProcessEnd } from '../../../src/cli/worker/running-process.ts';
import { endOfRun as endOfRunRead } from '../../../src/cli/worker/verdict.ts';
import { lastCharacters } from '../../../src/client/worker/plain-text.ts';
import type { StopReason } from '../../../src/client/worker/run-end.ts';

const endOfRun = (end: ProcessEnd, stopped: StopReason | null) => endOfRunRead(end, stopped, WORK_READING);

const exited = (more: Partial<ProcessEnd & { kind: 'exited' }> = {}): ProcessEnd => ({
  kind: 'exited',
  exitCode: 0,
  signal: null,
  stdout: '',
  stderr: '',
  ...more,
});
const completionOf = (stdout: string) => endOfRun(exited({ stdout }), null)?.body;

describe('exit code 0', () => {
  test('completes with the text of stdout as summary', () => {
    expect(endOfRun(exited({ stdout: '  one\ntwo\n\n' }), null)).toEqual({
      verb: 'complete',
      body: { summary: 'one\ntwo' },
    });
    expect(endOfRun(exited(), null)).toEqual({ verb: 'complete', body: {} });
  });

  test('takes a JSON object on the last line as summary, result and metadata', () => {
    const last = '{"summary": "done", "result": [1], "metadata": {"cost": 2}}';
    expect(completionOf(`log line\n${last}\n`)).toEqual({
      summary: 'done',
      result: [1],
      metadata: { cost: 2 },
    });
    expect(completionOf(`log line\n{"result": 5}`)).toEqual({ summary: 'log line', result: 5 });
  });

  test('takes an object with none of these as the result', () => {
    expect(completionOf('{"url": "https://x"}')).toEqual({ result: { url: 'https://x' } });
  });

  test('takes other JSON and broken JSON as text', () => {
    expect(completionOf('[1]')).toEqual({ summary: '[1]' });
    expect(completionOf('{"result": ')).toEqual({ summary: '{"result":' });
  });

  test('makes of fields of the wrong type nothing', () => {
    expect(completionOf('{"summary": 5, "metadata": "no", "result": 1}')).toEqual({ result: 1 });
  });

  test('keeps out what the API refuses: NUL and lone surrogates', () => {
    const last = String.raw`{"result": {"a\u0000": "b\ud800c", "ok": "\ud83d\ude00"}}`;
    expect(completionOf(last)).toEqual({ result: { 'a\ufffd': 'b\ufffdc', ok: '😀' } });
  });
});

describe('another exit', () => {
  test('fails with the end of stderr, or with how it ended', () => {
    const body = { error: 'oh no', metadata: { exit_code: 2, signal: null } };
    expect(endOfRun(exited({ exitCode: 2, stderr: ' oh no\n' }), null)).toEqual({ verb: 'fail', body });
    expect(endOfRun(exited({ exitCode: 2 }), null)?.body).toMatchObject({ error: 'exit code 2' });
    expect(endOfRun(exited({ exitCode: null, signal: 'SIGSEGV' }), null)?.body).toMatchObject({
      error: 'killed by SIGSEGV',
    });
  });

  test('is rate limited when its code is 75', () => {
    expect(endOfRun(exited({ exitCode: 75, stderr: '429' }), null)?.body).toMatchObject({
      kind: 'rate_limited',
      error: '429',
    });
  });

  test('never grows beyond what the API takes', () => {
    const end = endOfRun(exited({ exitCode: 1, stderr: 'x'.repeat(70_000) }), null);
    expect(end?.verb === 'fail' && end.body.error.length).toBe(16_000);
  });
});

describe('a command that we stopped', () => {
  const ends: readonly (readonly [StopReason, object | null])[] = [
    [{ kind: 'claim_lost', detail: 'd' }, null],
    [{ kind: 'cancel_requested' }, { verb: 'release' }],
    [{ kind: 'draining' }, { verb: 'release' }],
    [
      { kind: 'timed_out', seconds: 5 },
      { verb: 'fail', body: { error: 'timed out after 5 s\nlast words' } },
    ],
  ];
  for (const [reason, end] of ends) {
    test(`because of ${reason.kind} ends that way, whatever its exit code was`, () => {
      const found = endOfRun(exited({ exitCode: 0, stdout: 'done', stderr: 'last words' }), reason);
      if (end === null) expect(found).toBeNull();
      else expect(found).toMatchObject(end);
    });
  }
});

test('a command that could not be started gives the task back', () => {
  expect(endOfRun({ kind: 'not_started', error: new Error('ENOENT') }, null)).toMatchObject({
    verb: 'release',
  });
});

describe('a tail of output', () => {
  const tailOf = (bytesMax: number, ...chunks: string[]) => {
    const tail = new OutputTail(bytesMax);
    for (const chunk of chunks) tail.push(Buffer.from(chunk, 'latin1'));
    return tail.text();
  };

  test('keeps the last bytes, however they came', () => {
    expect(tailOf(4, 'ab', 'cd', 'ef')).toBe('cdef');
    expect(tailOf(4, 'abcdefgh')).toBe('efgh');
    expect(tailOf(4, 'a', 'b', 'c', 'd', 'e')).toBe('bcde');
  });

  test('begins with a whole character', () => {
    const tail = new OutputTail(4);
    tail.push(Buffer.from('äöü'));
    expect(tail.text()).toBe('öü');
    const odd = new OutputTail(3);
    odd.push(Buffer.from('äöü'));
    expect(odd.text()).toBe('ü');
  });

  test('is text without NUL and terminal sequences, whatever bytes came', () => {
    expect(tailOf(100, '\u001b[31mred\u001b[0m \u001b]0;title\u0007\u0000 \xff')).toBe('red \ufffd \ufffd');
  });
});

test('cutting text never leaves half of a surrogate pair', () => {
  expect(lastCharacters('a😀b', 2)).toBe('b');
  expect(lastCharacters('a😀b', 3)).toBe('😀b');
});
