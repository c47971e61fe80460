/** What commands make of their arguments and files, and how they show what the API answers. */
import { spawnSync } from 'node:child_process';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { problem } from '../client/fixtures/scripted-server.ts';
import { useScriptedApi } from './fixtures/scripted-api.ts';

const api = useScriptedApi();
const { run, lastRequest } = api;

const TASK = {
  id: 'task_1',
  title: 'Paint \u001b[31mit',
  status: 'ready',
  status_since: '2026-01-01T00:00:00.000Z',
  lane: 'factory',
  priority: 0,
  labels: {},
  claim: null,
  blocked: null,
  body: null,
  summary: null,
  payload: null,
  result: null,
};

describe('a command', () => {
  test('takes reasons and errors as they are, also where they look like the name of a file that is there', async () => {
    api.server.respond = () => problem(404, 'not_found');
    const own = `@${fileURLToPath(import.meta.url)}`;
    const verbs: [string[], string][] = [
      [['run', 'fail', '--run', 'r'], 'error'],
      [['run', 'block', '--run', 'r'], 'reason'],
      [['run', 'release', '--run', 'r'], 'reason'],
      [['run', 'request-changes', '--run', 'r'], 'reason'],
      [['task', 'request-changes', 't'], 'reason'],
    ];
    for (const [words, field] of verbs) {
      expect((await run([...words, own])).code).toBe(3);
      expect(api.server.requests.at(-1)?.body).toEqual({ [field]: own });
      expect((await run([...words, '-'], { stdin: '@ two\nlines\n' })).code).toBe(3);
      expect(api.server.requests.at(-1)?.body).toEqual({ [field]: '@ two\nlines' });
    }
  });

  test('acts on the run that its environment names', async () => {
    api.server.respond = () => ({ status: 200, json: { task: { ...TASK, status: 'done' }, run: {} } });
    const { code, stdout } = await run(['run', 'complete'], { env: { LANEKEEPER_RUN_ID: 'run_1' } });
    expect([code, stdout]).toEqual([0, 'task_1 done on lane factory: Paint ␛[31mit\n']);
    expect(lastRequest()).toBe('POST /v1/runs/run_1/complete {}');
  });

  test('shows a graph as a tree, and the text of a task as it is, both without control characters of others', async () => {
    const node = (id: string) => ({ id, title: `${id} \u001b[31m`, status: 'todo', lane: null });
    const graph = {
      nodes: ['a', 'b'].map(node),
      edges: [{ parent: 'a', child: 'b', met: false }],
      truncated: false,
    };
    api.server.respond = () => ({ status: 200, json: graph });
    expect((await run(['task', 'graph', 'b'])).stdout).toBe(
      'a ␛[31m  todo  -  a\n└─ b ␛[31m  todo  -  b  *\n',
    );
    expect(JSON.parse((await run(['task', 'graph', 'b', '--json'])).stdout)).toEqual(graph);
    api.server.respond = () => ({ status: 200, json: { text: '# x\n\n> \u001b[31m\n' } });
    expect((await run(['task', 'context', 'b'])).stdout).toBe('# x\n\n> ␛[31m\n');
  });

  test('names parents by their line in a file of tasks, as far as one request reaches', async () => {
    api.server.respond = ({ body }) => ({
      status: 201,
      json: { tasks: (body as { tasks: object[] }).tasks.map(() => TASK) },
    });
    const lines = (count: number): string =>
      Array.from({ length: count }, () => '{"title":"x","parents":["#0"]}').join('\n');
    const few = await run(['task', 'add', '--from', '-'], { stdin: `{"title":"first"}\n${lines(1)}` });
    expect(few.code).toBe(0);
    expect(lastRequest()).toContain('{"tasks":[{"title":"first"},{"title":"x","parents":["#0"]}]}');
    const asked = api.server.requests.length;
    const many = await run(['task', 'add', '--from', '-'], { stdin: lines(1001) });
    expect([many.code, many.stderr]).toEqual([
      2,
      expect.stringContaining('reach no farther than one request'),
    ]);
    expect(api.server.requests).toHaveLength(asked);
  });

  test('prints the answer of the API with --json, and nothing else on stdout', async () => {
    const answer = { tasks: [TASK], next_page_token: 'p2', cursor: 'c' };
    api.server.respond = () => ({ status: 200, json: answer });
    const { code, stdout, stderr } = await run(['tasks', 'list', '--json']);
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(JSON.parse(stdout)).toEqual(answer);
  });

  test('prints a table for people, with the next step on stderr and no control characters of others', async () => {
    api.server.respond = () => ({ status: 200, json: { tasks: [TASK], next_page_token: 'p2', cursor: 'c' } });
    const { stdout, stderr } = await run(['tasks', 'list']);
    expect(stdout).toContain('task_1  ready   factory');
    expect(stdout).toContain('Paint ␛[31mit');
    expect(stderr).toContain('--page-token p2');
    expect((await run(['tasks', 'list', '-q'])).stderr).toBe('');
  });

  test('follows all pages with --all', async () => {
    api.server.respond = ({ path }) => {
      const isLast = path.includes('page_token=p2');
      return {
        status: 200,
        json: {
          tasks: [{ ...TASK, id: isLast ? 'task_2' : 'task_1' }],
          next_page_token: isLast ? null : 'p2',
          cursor: 'c',
        },
      };
    };
    const { stdout } = await run(['tasks', 'list', '--all', '--json']);
    expect(JSON.parse(stdout)).toMatchObject({
      tasks: [{ id: 'task_1' }, { id: 'task_2' }],
      next_page_token: null,
    });
  });

  test('reads texts from files and stdin', async () => {
    api.server.respond = () => problem(404, 'not_found');
    const file = join(api.directory, 'body.txt');
    await writeFile(file, 'from a file');
    await run(['task', 'add', 'T', '--body', `@${file}`, '--payload', '-'], { stdin: '[1, 2]' });
    expect(api.server.requests.at(-1)?.body).toEqual({ title: 'T', body: 'from a file', payload: [1, 2] });
    expect(await run(['task', 'add', 'T', '--payload', '{'])).toMatchObject({ code: 2 });
  });

  test('adds many tasks from lines of JSON, at most 1,000 in one request, with the options as defaults', async () => {
    api.server.respond = ({ body }) => ({
      status: 201,
      json: { tasks: (body as { tasks: unknown[] }).tasks.map(() => TASK) },
    });
    const lines = Array.from({ length: 1001 }, (_, index) =>
      JSON.stringify({ title: `t${index}`, priority: index }),
    );
    const end = await run(['task', 'add', '--from', '-', '--lane', 'l', '--priority', '-1'], {
      stdin: lines.join('\n\n'),
    });
    expect(end).toMatchObject({ code: 0, stderr: expect.stringContaining('Added 1001 tasks.') });
    const bodies = api.server.requests.map(({ body }) => (body as { tasks: object[] }).tasks);
    expect(bodies.map((tasks) => tasks.length)).toEqual([1000, 1]);
    expect(bodies[1]?.[0]).toEqual({ title: 't1000', priority: 1000, lane: 'l' });
    expect(await run(['task', 'add', '--from', '-'], { stdin: '{"title":"ok"}\nnot json' })).toMatchObject({
      code: 2,
      stderr: expect.stringContaining('Line 2'),
    });
  });

  test('sends a message without the line end of its file, and is told at once when nobody takes any', async () => {
    const messages = Array.from({ length: 100 }, (_, index) => ({ id: `msg_${index}`, state: 'queued' }));
    api.server.respond = ({ method }) =>
      method === 'POST'
        ? problem(429, 'rate_limited', { headers: { 'retry-after': '10' } })
        : { status: 200, json: { messages } };
    const end = await run(['task', 'steer', 't', '-'], { stdin: 'one\ntwo\n' });
    expect(api.server.requests.map(({ method, body }) => [method, body])).toEqual([
      ['POST', { message: 'one\ntwo' }],
      ['GET', undefined],
    ]);
    expect(end).toMatchObject({ code: 5, stderr: expect.stringContaining('Nobody has taken') });
  });

  test('says how many lines were not kept before the output that it shows', async () => {
    const lines = [
      { number: 8, run_id: 'run_1', at: '2026-01-01T00:00:00.000Z', text: 'eight' },
      { number: 9, run_id: 'run_1', at: '2026-01-01T00:00:00.000Z', text: 'nine' },
    ];
    api.server.respond = () => ({ status: 200, json: { lines } });
    const end = await run(['task', 'output', 't']);
    expect(end).toMatchObject({ stdout: 'eight\nnine\n', stderr: '(7 earlier lines not kept)\n' });
  });

  test('hands a claim to a shell, whatever is in it', async () => {
    const token = "it's $(a) `token`";
    const claim = { run_id: 'run_1', token, lane: 'l', attempt: 2, task: { ...TASK, board: 'default' } };
    api.server.respond = () => ({ status: 200, json: { claims: [claim], cursor: 'c' } });
    const { code, stdout } = await run(['lane', 'claim', 'l', '--env']);
    const script = `${stdout}printf '%s|%s|%s' "$LANEKEEPER_TOKEN" "$LANEKEEPER_RUN_ID" "$LANEKEEPER_ATTEMPT"`;
    expect([code, spawnSync('sh', ['-c', script], { encoding: 'utf8' }).stdout]).toEqual([
      0,
      `${token}|run_1|2`,
    ]);
    expect((await run(['lane', 'claim', 'l'])).code).toBe(2);
    api.server.respond = () => ({ status: 200, json: { claims: [], cursor: 'c', reason: 'paused' } });
    const none = await run(['lane', 'claim', 'l', '--json']);
    expect(none).toMatchObject({ code: 124, stderr: 'Nothing to claim: paused.\n' });
    expect(JSON.parse(none.stdout)).toMatchObject({ claims: [] });
  });

  test('prints a secret alone on stdout', async () => {
    const key = { id: 'key_1', role: 'lane' };
    api.server.respond = () => ({ status: 201, json: { key, secret: 'lk_lane_secret' } });
    const { stdout, stderr } = await run(['lane', 'key', 'factory']);
    expect(stdout).toBe('lk_lane_secret\n');
    expect(stderr).not.toContain('lk_lane_secret');
    api.server.respond = () => ({ status: 201, json: { key } });
    expect(await run(['lane', 'key', 'factory'])).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('key revoke key_1'),
    });
  });
});

describe('a failure', () => {
  test('to reach the server that is tried again for long is told of, without ending the command', async () => {
    api.server.respond = () =>
      api.server.requests.length < 3 ? 'reset' : { status: 200, json: { attention: [], truncated: false } };
    const { code, stderr } = await run(['attention']);
    expect([code, stderr]).toEqual([0, expect.stringMatching(/trying again for up to 30 s\nNothing waits/)]);
  });

  const failures: readonly (readonly [number, string, number])[] = [
    [400, 'invalid_request', 2],
    [401, 'unauthenticated', 4],
    [403, 'forbidden', 4],
    [404, 'lane_not_found', 3],
    [409, 'illegal_transition', 5],
    [412, 'version_mismatch', 5],
    [500, 'internal', 1],
  ];
  for (const [status, code, exitCode] of failures) {
    test(`${code} is told as title, detail and code, with exit code ${exitCode}`, async () => {
      api.server.respond = () =>
        problem(status, code, { errors: [{ pointer: '/title', detail: 'too long' }] });
      const end = await run(['task', 'cancel', 't']);
      expect(end).toMatchObject({ code: exitCode, stdout: '' });
      expect(end.stderr).toContain(`A title: Some detail. (${code})\n  /title: too long\n`);
    });
  }
});

describe('waiting for a task', () => {
  test('returns when it has finished', async () => {
    let asked = 0;
    api.server.respond = () => {
      asked += 1;
      return { status: 200, json: { task: { ...TASK, status: asked < 3 ? 'running' : 'done' } } };
    };
    expect(await run(['task', 'get', 't', '--wait', '--json'])).toMatchObject({
      code: 0,
      stdout: expect.stringContaining('"done"'),
    });
    expect(api.server.requests[0]?.headers['prefer']).toBe('wait=60');
  });

  test('ends with exit code 124 when it has not', async () => {
    api.server.respond = () => ({ status: 200, json: { task: TASK } });
    expect(await run(['task', 'get', 't', '--wait', '0'])).toMatchObject({
      code: 124,
      stdout: expect.stringContaining('task_1'),
    });
  });
});
