/** How the command line behaves towards people and pipes: colours, progress, questions, secrets among the arguments. */
import { Readable } from 'node:stream';
import { describe, expect, test } from 'vitest';
import { wantsColours } from '../../src/cli/colours.ts';
import { confirm } from '../../src/cli/confirm.ts';
import { Context, type System } from '../../src/cli/context.ts';
import { Output } from '../../src/cli/output.ts';
import { Progress } from '../../src/cli/progress.ts';
import { problem } from '../client/fixtures/scripted-server.ts';
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

  test('that would travel unencrypted is warned about, also with --quiet', async () => {
    const stderr = stream(true);
    const system = {
      stdin: () => Readable.from([]),
      stdout: stream(false),
      stderr,
      env: {
        LANEKEEPER_URL: 'http://lanes.example',
        LANEKEEPER_TOKEN: 'lk_x',
        XDG_CONFIG_HOME: api.directory,
      },
      workingDirectory: api.directory,
    } as unknown as System;
    await new Context(system, { quiet: true }).client();
    expect(stderr.written.join('')).toContain('unencrypted');
  });

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

describe('what is not said too much', () => {
  const api = useScriptedApi();

  test('a table without rows has no titles', async () => {
    api.server.respond = () => ({ status: 200, json: { attention: [], truncated: false } });
    expect(await api.run(['attention'])).toMatchObject({
      stdout: '',
      stderr: 'Nothing waits for a person.\n',
    });
  });

  test('a lane that nobody has registered is named when a task is added to it', async () => {
    const task = { id: 'task_1', title: 'T', status: 'ready', lane: 'nolane' };
    api.server.respond = ({ method }) =>
      method === 'POST' ? { status: 201, json: { task } } : problem(404, 'lane_not_found');
    const { code, stderr } = await api.run(['task', 'add', 'T', '--lane', 'nolane']);
    expect([code, stderr]).toEqual([0, expect.stringContaining('Next: lanekeeper lane register nolane')]);
    api.server.respond = () => ({ status: 201, json: { task } });
    expect((await api.run(['task', 'add', 'T', '--lane', 'nolane'])).stderr).not.toContain('register');
  });

  test('an operation that is over is told with its last numbers, in a pipe too', async () => {
    const operation = { id: 'op_1', action: 'archive', status: 'running', total: 4, succeeded: 0 };
    const base = { ...operation, failed_count: 0, failed: [] };
    api.server.respond = ({ method }) =>
      method === 'POST'
        ? { status: 202, json: { operation: base } }
        : { status: 200, json: { operation: { ...base, status: 'done', succeeded: 4 } } };
    const { code, stderr } = await api.run(['task', 'bulk', 'archive', '--status', 'done']);
    expect([code, stderr]).toEqual([0, '0 of 4 tasks\n4 of 4 tasks\n']);
  });

  test('work done inline that is late shows what has finished, and ends with 124', async () => {
    const child = { title: 'a', status: 'done', summary: 'It is done', result: null };
    api.server.respond = ({ method, path }) => {
      if (path.endsWith('/delegations')) return problem(409, 'delegation_capacity');
      if (method === 'POST') return { status: 201, json: { tasks: [{ id: 'task_1' }, { id: 'task_2' }] } };
      if (path.endsWith('/task_1')) return { status: 200, json: { task: { ...child, id: 'task_1' } } };
      return { status: 200, json: { task: { ...child, id: 'task_2', status: 'running', summary: null } } };
    };
    const words = ['--task', 'l: a', '--task', 'l: b', '--on-capacity', 'inline', '--timeout', '1s'];
    const { code, stdout, stderr } = await api.run(['delegate', ...words]);
    expect([code, stdout, stderr]).toEqual([
      124,
      expect.stringContaining('It is done'),
      expect.stringContaining('task_2 has not ended in time'),
    ]);
  });

  test('what an import leaves unsaid is filled in: no runs, comments and parents, from now', async () => {
    api.server.respond = () => ({ status: 200, json: { lanes: [], tasks: [] } });
    const line = '{"external_ref": "T-1", "title": "Paint it", "status": "ready"}';
    expect((await api.run(['import', 'tasks', '-'], { stdin: line })).code).toBe(0);
    expect(api.server.requests.at(-1)?.body).toEqual({
      tasks: [
        {
          external_ref: 'T-1',
          title: 'Paint it',
          status: 'ready',
          runs: [],
          comments: [],
          parents: [],
          created_at: expect.stringMatching(/^\d{4}-.*Z$/),
        },
      ],
    });
  });
});
