/** How the command line behaves towards people and pipes: colours, progress, questions, secrets among the arguments. */
import { Readable } from 'node:stream';
import { describe, expect, test } from 'vitest';
import { wantsColours } from '../../src/cli/colours.ts';
import { confirm } from '../../src/cli/confirm.ts';
import { Context, type System } from '../../src/cli/context.ts';
import { Output } from '../../src/cli/output.ts';
import { Progress } from '../../src/cli/progress.ts';
import { useScriptedApi } from './fixtures/scripted-api.ts';

function stream(isTTY: boolean) {
  const written: string[] = [];
  const write = (text: string): boolean => {
    written.push(text);
    return true;
  };
  return {
    isTTY,
    write,
    written,
    on: () => undefined,
    once: () => undefined,
    removeListener: () => undefined,
  };
}

describe('colours', () => {
  const rows: [string, Parameters<typeof wantsColours>[0], boolean][] = [
    ['a terminal', { flag: undefined, env: {}, isTTY: true }, true],
    ['a pipe', { flag: undefined, env: {}, isTTY: false }, false],
    ['a terminal that has none', { flag: undefined, env: { TERM: 'dumb' }, isTTY: true }, false],
    ['NO_COLOR', { flag: undefined, env: { NO_COLOR: '1' }, isTTY: true }, false],
    ['an empty NO_COLOR', { flag: undefined, env: { NO_COLOR: '' }, isTTY: true }, true],
    ['FORCE_COLOR in a pipe', { flag: undefined, env: { FORCE_COLOR: '1' }, isTTY: false }, true],
    ['FORCE_COLOR=0 on a terminal', { flag: undefined, env: { FORCE_COLOR: '0' }, isTTY: true }, false],
    [
      'NO_COLOR and FORCE_COLOR',
      { flag: undefined, env: { NO_COLOR: '1', FORCE_COLOR: '1' }, isTTY: true },
      false,
    ],
    ['--no-color and FORCE_COLOR', { flag: false, env: { FORCE_COLOR: '1' }, isTTY: true }, false],
  ];
  for (const [name, question, answer] of rows)
    test(`${answer ? 'are' : 'are not'} wanted with ${name}`, () =>
      expect(wantsColours(question)).toBe(answer));
});

describe('progress', () => {
  const outputOf = (stderr: ReturnType<typeof stream>, isQuiet = false) =>
    new Output({
      stdout: stream(false) as never,
      stderr: stderr as never,
      isJson: false,
      isQuiet,
      hasColours: false,
    });

  test('is a bar on a terminal, and takes itself away', () => {
    const stderr = stream(true);
    const progress = new Progress(outputOf(stderr), 'tasks');
    progress.show(5, 10);
    progress.end();
    expect(stderr.written).toEqual([
      `\r[${'#'.repeat(15)}${'.'.repeat(15)}] 5 of 10 tasks\u001b[K`,
      '\r\u001b[K',
    ]);
  });

  test('is a line now and then elsewhere, and nothing with --quiet', () => {
    const [pipe, silent] = [stream(false), stream(true)];
    let nowMs = 0;
    const progress = new Progress(outputOf(pipe), 'tasks', () => nowMs);
    for (let done = 0; done < 10; done += 1) {
      progress.show(done, 10);
      nowMs += 1000;
    }
    progress.show(10, 10);
    progress.end();
    expect(pipe.written).toEqual(['0 of 10 tasks\n', '5 of 10 tasks\n', '10 of 10 tasks\n']);
    new Progress(outputOf(silent, true), 'tasks').show(1, 2);
    expect(silent.written).toEqual([]);
  });
});

describe('what cannot be undone', () => {
  const ask = async (typed: string): Promise<{ error: unknown; asked: string }> => {
    const stderr = stream(true);
    const stdin = Object.assign(Readable.from([typed]), { isTTY: true });
    const system = {
      stdin: () => stdin,
      stdout: stream(true),
      stderr,
      env: {},
      workingDirectory: '.',
    } as unknown as System;
    const error = await confirm(new Context(system, {}), 'Delete board x').catch((thrown: unknown) => thrown);
    return { error, asked: stderr.written.join('') };
  };

  test('is done after a yes, and after nothing else', async () => {
    expect(await ask('y\n')).toEqual({
      error: undefined,
      asked: expect.stringContaining('Delete board x? '),
    });
    for (const answer of ['n\n', '\n', 'yesterday\n', ''])
      expect(await ask(answer)).toMatchObject({ error: { message: 'Nothing was done.', exitCode: 1 } });
  });

  const api = useScriptedApi();
  test('is refused where nobody can be asked, before anything is sent', async () => {
    const deeds = ['board delete b', 'lane delete l', 'task delete t', 'task bulk delete t', 'key revoke k'];
    for (const line of deeds)
      expect(await api.run(line.split(' '))).toMatchObject({
        code: 2,
        stdout: '',
        stderr: expect.stringContaining('say --yes'),
      });
    expect(api.server.requests).toEqual([]);
    api.server.respond = () => ({
      status: 202,
      json: { operation: { status: 'done', failed: [], failed_count: 0 } },
    });
    expect((await api.run(['task', 'bulk', 'delete', 't', '--dry-run'])).code).toBe(0);
  });
});

describe('a secret', () => {
  const api = useScriptedApi();
  const WARNED = expect.stringContaining('everybody on this machine can read');

  test('among the arguments is warned about; from stdin and from files it is not', async () => {
    const noKey = { LANEKEEPER_TOKEN: '' };
    api.server.respond = () => ({ status: 200, json: { attention: [], truncated: false } });
    expect(await api.run(['attention', '--token', 'lk_given'], { env: noKey })).toMatchObject({
      stderr: WARNED,
    });
    expect(api.server.requests.at(-1)?.headers.authorization).toBe('Bearer lk_given');
    const quiet = await api.run(['attention', '-q', '--token', '-'], { stdin: 'lk_piped\n', env: noKey });
    expect(quiet.stderr).toBe('');
    expect(api.server.requests.at(-1)?.headers.authorization).toBe('Bearer lk_piped');
    const hook = [
      'subscription',
      'put',
      '--task',
      't',
      '--platform',
      'hook',
      '--webhook',
      'https://example.com/',
    ];
    api.server.respond = () => ({ status: 500 });
    const warned = await api.run([...hook, '--webhook-secret', 'whsec_x']);
    expect(warned).toMatchObject({ code: 1, stderr: WARNED });
    const piped = await api.run([...hook, '--webhook-secret', '-'], { stdin: 'whsec_x' });
    expect(piped.stderr).not.toContain('everybody');
  });
});
