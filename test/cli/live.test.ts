/** Commands that follow: told by the watch of what happens, not asking again and again; for programs one JSON document a line. */
import { describe, expect, test } from 'vitest';
import type { WebSocket } from 'ws';
import { judge } from '../../src/cli/groups/task-wait.ts';
import { LIMITS } from '../../src/contract/constants.ts';
import { Delegation } from '../../src/contract/delegations.ts';
import { Event } from '../../src/contract/events.ts';
import { Lane } from '../../src/contract/lanes.ts';
import { buildOpenApiDocument } from '../../src/contract/openapi.ts';
import { Task } from '../../src/contract/tasks.ts';
import { problem } from '../client/fixtures/scripted-server.ts';
import { sampleOf } from '../contract/sample.ts';
import { useScriptedApi } from './fixtures/scripted-api.ts';

const api = useScriptedApi();
const { run } = api;
const document = buildOpenApiDocument('0.0.0');

type Fields = Record<string, unknown>;
const sample = (name: string, fields: Fields): Fields => ({
  ...(sampleOf({ $ref: `#/components/schemas/${name}` }, document) as Fields),
  ...fields,
});
const task = (id: string, status: string, fields: Fields = {}) =>
  sample('Task', { id: taskId(id), title: `Title of ${id}`, status, lane: 'factory', ...fields });
const taskId = (id: string): string => `task_01jcqk0v3te8sr3x6y9m2b4n${id.padStart(2, '0')}`;

/** Answers the watch frame, and keeps the socket to speak on. */
function followedBy(onWatching: (say: Say, frame: Fields) => void): void {
  api.server.accept = (socket) => {
    socket.on('message', (data) => {
      const frame = JSON.parse(String(data)) as Fields;
      if (frame['type'] !== 'watch') return;
      socket.send(JSON.stringify({ type: 'watching', id: frame['id'], cursor: 'c0' }));
      onWatching(new Say(socket), frame);
    });
  };
}

class Say {
  readonly #socket: WebSocket;
  #seq = 0;

  constructor(socket: WebSocket) {
    this.#socket = socket;
  }

  event(fields: Fields): void {
    this.#seq += 1;
    const cursor = `c${this.#seq}`;
    const base = { seq: this.#seq, cursor, board: 'default', at: '2026-01-01T00:00:00.000Z', data: {} };
    const actor = { type: 'system', id: 'x' };
    const events = [{ ...base, kind: 'task.updated', actor, ...fields }];
    this.#socket.send(JSON.stringify({ type: 'events', id: 'watch', events, cursor }));
  }

  /** For good. */
  end(): void {
    this.#socket.close(1008, 'the board is gone');
  }
}

const jsonLines = (text: string): unknown[] =>
  text
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as unknown);

describe('task wait', () => {
  test('prints each task when it is done, having asked once more for what the watch named and for nothing else', async () => {
    const states: Record<string, string> = { a: 'running', b: 'done', c: 'running' };
    let say: Say | undefined;
    let isTold = false;
    followedBy((speaker, frame) => {
      say = speaker;
      expect(frame).toMatchObject({ tasks: [taskId('a'), taskId('c')] });
    });
    api.server.respond = ({ path }) => {
      const name = path.at(-1) ?? '';
      const answer = { status: 200, json: { task: task(name, states[name] ?? '') } };
      // What is not done yet has been read twice: before the watch, and as soon as nothing can be missed.
      if (api.server.requests.length === 5 && !isTold) {
        isTold = true;
        states['a'] = states['c'] = 'done';
        say?.event({ task_id: taskId('a'), kind: 'task.completed', data: { status_after: 'done' } });
      } else if (api.server.requests.length === 6)
        say?.event({ task_id: taskId('c'), kind: 'task.completed' });
      return answer;
    };
    // A month is more than one timer counts, and no reason to end at once.
    const end = await run(['task', 'wait', 'a', 'b', 'c', '--timeout', '30d', '--json']);
    expect(end).toMatchObject({ code: 0, stderr: '' });
    const printed = jsonLines(end.stdout) as { task: Fields }[];
    expect(printed.map((line) => Task.safeParse(line.task).success)).toEqual([true, true, true]);
    expect(printed.map((line) => [line.task['id'], line.task['status']])).toEqual([
      [taskId('b'), 'done'],
      [taskId('a'), 'done'],
      [taskId('c'), 'done'],
    ]);
    expect(api.server.requests).toHaveLength(7);
  });

  test('ends with exit code 1 as soon as one has failed, 124 when it is late, and 3 when there is none', async () => {
    followedBy(() => undefined);
    api.server.respond = ({ path }) => ({
      status: 200,
      // Once its watch has begun.
      json: { task: task('a', path.endsWith('/a') ? 'running' : 'cancelled') },
    });
    expect(await run(['task', 'wait', 'a', '--timeout', '1m'])).toMatchObject({
      code: 1,
      stdout: expect.stringContaining('cancelled'),
      stderr: expect.stringContaining('is cancelled'),
    });
    api.server.respond = () => ({ status: 200, json: { task: task('a', 'running') } });
    expect(await run(['task', 'wait', 'a', '--timeout', '1s'])).toMatchObject({
      code: 124,
      stdout: '',
      stderr: expect.stringContaining('1 of 1 to go'),
    });
    api.server.respond = () => problem(404, 'not_found');
    expect(await run(['task', 'wait', 'a'])).toMatchObject({ code: 3 });
  });

  test('follows more tasks than a filter holds', async () => {
    const names = Array.from({ length: LIMITS.filterWordsMax + 1 }, (_, index) => `n${index}`);
    let filter: Fields | undefined;
    followedBy((_, frame) => {
      filter = frame;
    });
    api.server.respond = ({ path }) => {
      const name = path.split('/').at(-1) ?? '';
      const status = filter === undefined ? 'running' : 'done';
      return { status: 200, json: { task: { ...task('a', status), id: name } } };
    };
    const { code, stdout } = await run(['task', 'wait', ...names]);
    expect([code, stdout.trimEnd().split('\n').length]).toEqual([0, names.length]);
    expect(filter).toMatchObject({ kinds: ['task.*'] });
    expect(filter).not.toHaveProperty('tasks');
  });

  test('has an answer for every state and every wish', () => {
    const verdicts = (status: string, kind: string | null = null) =>
      (['done', 'ended', 'blocked', 'any'] as const).map((goal) =>
        judge(
          { status, blocked: kind === null ? null : { kind, reason: null } } as Parameters<typeof judge>[0],
          goal,
        ),
      );
    expect(verdicts('running')).toEqual(['waiting', 'waiting', 'waiting', 'waiting']);
    expect(verdicts('done')).toEqual(['met', 'met', 'failed', 'met']);
    expect(verdicts('cancelled')).toEqual(['failed', 'met', 'failed', 'met']);
    expect(verdicts('archived')).toEqual(['failed', 'met', 'failed', 'met']);
    expect(verdicts('blocked', 'needs_input')).toEqual(['waiting', 'waiting', 'met', 'met']);
    expect(verdicts('blocked', 'gave_up')).toEqual(['failed', 'waiting', 'met', 'met']);
  });
});

test('task get --wait outlives a server that goes away after its first answer', async () => {
  const answers = ['running', 'reset', 'reset', 'done'];
  api.server.respond = () => {
    const answer = answers[Math.min(api.server.requests.length, answers.length) - 1] ?? '';
    return answer === 'reset' ? 'reset' : { status: 200, json: { task: task('a', answer) } };
  };
  expect(await run(['task', 'get', 'a', '--wait', '1m'])).toMatchObject({ code: 0, stderr: '' });
  expect(api.server.requests).toHaveLength(4);
});

describe('task get --watch', () => {
  test('prints the task whenever it has changed until it has finished; for people what happens to it', async () => {
    const follow = async (flags: string[]) => {
      let version = 1;
      let say: Say | undefined;
      let reads = 0;
      followedBy((speaker, frame) => {
        say = speaker;
        // What happens between the first reading and the watch is not left out.
        expect(frame).toMatchObject({ after: 'c-before', tasks: [taskId('a')] });
      });
      api.server.respond = ({ path }) => {
        if (path.endsWith('/events?after=now'))
          return { status: 200, json: { events: [], cursor: 'c-before' } };
        reads += 1;
        const status = version === 1 ? 'running' : 'done';
        const answer = { status: 200, json: { task: task('a', status, { version }) } };
        if (reads === 2) {
          version = 2;
          say?.event({ task_id: taskId('a'), kind: 'task.completed', data: { summary: 'All of it' } });
        }
        return answer;
      };
      return run(['task', 'get', 'a', '-w', ...flags]);
    };
    const forPrograms = await follow(['--json']);
    expect(forPrograms.code).toBe(0);
    expect((jsonLines(forPrograms.stdout) as { task: Fields }[]).map((line) => line.task['status'])).toEqual([
      'running',
      'done',
    ]);
    const forPeople = await follow([]);
    expect(forPeople.stdout).toMatch(/title +Title of a\n/);
    expect(forPeople.stdout).toMatch(/task\.completed .*All of it\n$/);
  });
});

describe('a list with --watch', () => {
  test('of tasks prints its rows, then those that change, and where those went that left it', async () => {
    let read = 0;
    const lists = [
      [task('a', 'ready'), task('b', 'ready')],
      [task('b', 'ready'), task('c', 'ready')],
    ];
    let say: Say | undefined;
    followedBy((speaker, frame) => {
      say = speaker;
      expect(frame['kinds']).toEqual(['task.*']);
    });
    api.server.respond = ({ path }) => {
      if (path.includes(`/tasks/${taskId('a')}`)) {
        say?.end();
        return { status: 200, json: { task: task('a', 'running') } };
      }
      expect(path).toContain('/tasks?status=ready');
      const tasks = lists[Math.min(read, 1)] ?? [];
      read += 1;
      if (read === 1) say?.event({ task_id: taskId('a') });
      return { status: 200, json: { tasks, next_page_token: null, cursor: 'c' } };
    };
    const end = await run(['task', 'list', '--status', 'ready', '-w', '--json']);
    expect(end).toMatchObject({ code: 3, stderr: expect.stringContaining('the board is gone') });
    const rows = jsonLines(end.stdout) as Fields[];
    expect(rows.every((row) => Task.safeParse(row).success)).toBe(true);
    expect(rows.map(({ id, status }) => [id, status])).toEqual([
      [taskId('a'), 'ready'],
      [taskId('b'), 'ready'],
      [taskId('c'), 'ready'],
      [taskId('a'), 'running'],
    ]);
  });

  test('of tasks longer than a page says nothing of one that was only pushed off it', async () => {
    const known = [task('a', 'ready'), task('b', 'ready')];
    let reads = 0;
    let say: Say | undefined;
    followedBy((speaker) => {
      say = speaker;
    });
    api.server.respond = ({ path }) => {
      if (path.includes(`/tasks/${taskId('b')}`)) {
        say?.end();
        return { status: 200, json: { task: task('b', 'ready') } };
      }
      // --limit 2: a new one pushes the last over the end; no page after it is asked for.
      const rows = reads === 0 ? known : [task('c', 'ready'), task('a', 'ready')];
      reads += 1;
      if (reads === 1) say?.event({ task_id: taskId('c'), kind: 'task.created' });
      return { status: 200, json: { tasks: rows, next_page_token: 'more', cursor: 'c' } };
    };
    const end = await run(['task', 'list', '--limit', '2', '-w', '--json']);
    const rows = jsonLines(end.stdout) as Fields[];
    expect(rows.map(({ id }) => id)).toEqual([taskId('a'), taskId('b'), taskId('c')]);
    expect(end.stderr).not.toContain(' is gone\n');
  });

  test('of lanes reads every page, and says which lane is gone', async () => {
    const lane = (name: string) => sample('Lane', { name });
    let isGone = false;
    let say: Say | undefined;
    followedBy((speaker) => {
      say = speaker;
    });
    api.server.respond = ({ path }) => {
      if (path.endsWith('/lanes/two')) {
        say?.end();
        return problem(404, 'lane_not_found');
      }
      if (!path.includes('page_token'))
        return { status: 200, json: { lanes: [lane('one')], next_page_token: 'p2' } };
      const lanes = isGone ? [] : [lane('two')];
      if (!isGone) say?.event({ kind: 'lane.deleted', lane: 'two' });
      isGone = true;
      return { status: 200, json: { lanes, next_page_token: null } };
    };
    const end = await run(['lane', 'list', '-w', '--json']);
    expect((jsonLines(end.stdout) as Fields[]).map(({ name }) => name)).toEqual(['one', 'two']);
    expect(end.stderr).toContain('two is gone');
  });

  test('of lanes and of delegations prints one a line, titles once, and only what has changed', async () => {
    const rows = {
      lane: [
        sample('Lane', { name: 'one', backlog: { ready: 1, running: 0, oldest_ready_at: null } }),
        sample('Lane', { name: 'two' }),
      ],
      delegation: [sample('Delegation', { status: 'running' })],
    };
    for (const [noun, schema] of [['lane', Lane] as const, ['delegation', Delegation] as const]) {
      for (const flags of [['--json'], []]) {
        let reads = 0;
        let say: Say | undefined;
        followedBy((speaker) => {
          say = speaker;
        });
        api.server.respond = () => {
          reads += 1;
          if (reads === 1) say?.event({ kind: `${noun}.updated` });
          else say?.end();
          return { status: 200, json: { [`${noun}s`]: rows[noun], next_page_token: null } };
        };
        const { code, stdout } = await run([noun, 'list', '--watch', ...flags]);
        expect([code, reads]).toEqual([3, 2]);
        const lines = stdout.trimEnd().split('\n');
        if (flags.length === 0)
          expect([lines.length, lines[0]]).toEqual([rows[noun].length + 1, expect.any(String)]);
        else
          expect(lines.map((line) => schema.safeParse(JSON.parse(line)).success)).toEqual(
            rows[noun].map(() => true),
          );
      }
    }
  });

  test('ends with what its list answers when that is a refusal', async () => {
    followedBy(() => undefined);
    api.server.respond = () => problem(403, 'forbidden');
    expect(await run(['lane', 'list', '-w'])).toMatchObject({ code: 4, stdout: '' });
  });
});

describe('watch', () => {
  test('prints for programs one event of the contract a line', async () => {
    followedBy((say) => say.event({ task_id: taskId('a'), kind: 'task.ready' }));
    const { code, stdout } = await run(['watch', '--count', '1', '--json']);
    const lines = jsonLines(stdout);
    expect([code, lines.map((line) => Event.safeParse(line).success)]).toEqual([0, [true]]);
  });
});

describe('task logs --follow', () => {
  test('begins with the last lines that were asked for, and goes on with each new one once', async () => {
    const line = (number: number) => ({
      number,
      run_id: 'run_01jcqk0v3te8sr3x6y9m2b4n5p',
      at: '2026-01-01T00:00:00.000Z',
      text: `line ${number}`,
    });
    let status = 'running';
    let say: Say | undefined;
    let kept = [line(4), line(5), line(6)];
    followedBy((speaker) => {
      say = speaker;
    });
    api.server.respond = ({ path }) => {
      if (path.endsWith('/output')) return { status: 200, json: { lines: kept } };
      const answer = { status: 200, json: { task: task('a', status) } };
      // Seen running once after the lines: from here on it prints one more, and ends.
      if (api.server.requests.length === 3) {
        status = 'done';
        kept = [...kept, line(7)];
        say?.event({ task_id: taskId('a'), kind: 'task.completed', data: { status_after: 'done' } });
      }
      return answer;
    };
    const end = await run(['task', 'logs', 'a', '--follow', '--tail', '2']);
    expect(end).toMatchObject({ code: 0, stdout: 'line 5\nline 6\nline 7\n', stderr: '' });
  });

  test('without following shows the last lines, none of them for 0', async () => {
    const lines = [1, 2, 3].map((number) => ({ number, run_id: 'r', at: 'x', text: `line ${number}` }));
    api.server.respond = () => ({ status: 200, json: { lines } });
    expect((await run(['task', 'logs', 'a', '--tail', '1'])).stdout).toBe('line 3\n');
    expect((await run(['task', 'logs', 'a', '--tail', '0'])).stdout).toBe('');
    expect(JSON.parse((await run(['task', 'logs', 'a', '--tail', '2', '--json'])).stdout)).toEqual({
      lines: lines.slice(1),
    });
  });
});
