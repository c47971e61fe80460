/** Completions: what a shell is told could come next, with names of the server where it answers at once, and never a message. */
import { spawnSync } from 'node:child_process';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { LIVE_MS_MAX } from '../../src/cli/completion/live-values.ts';
import { useScriptedApi } from './fixtures/scripted-api.ts';

const api = useScriptedApi();

/** The library writes to the console. */
let printed: string[];
beforeEach(() => {
  printed = [];
  vi.spyOn(console, 'log').mockImplementation((text: string) => void printed.push(text));
});
afterEach(() => {
  vi.useRealTimers();
  vi.restoreAllMocks();
});

/** The words that it offers, without their descriptions and the directive at the end. */
async function complete(...words: string[]): Promise<string[]> {
  printed = [];
  const end = await api.run(['complete', '--', ...words]);
  expect(end).toMatchObject({ code: 0, stdout: '', stderr: '' });
  expect(printed.at(-1)).toMatch(/^:\d+$/);
  return printed.slice(0, -1).map((line) => line.split('\t', 1)[0] ?? '');
}

describe('a completion', () => {
  test('is of nouns in singular and plural, of verbs and their aliases, of options and their values', async () => {
    expect(await complete('ta')).toEqual(['task']);
    expect(await complete('compl')).toEqual(['completion']);
    expect(await complete('tasks', 'l')).toEqual(['list', 'link']);
    expect(await complete('task', 'logs', 'x', '--f')).toEqual(['--follow']);
    expect(await complete('lane', 'register', 'x', '--claim-m')).toEqual(['--claim-mode']);
    expect(await complete('lane', 'register', 'x', '--claim-mode', 'pu')).toEqual([
      'pull-or-watch',
      'pull',
      'push',
    ]);
    expect(await complete('whoami', '--tok')).toEqual(['--token-file', '--token']);
    expect(api.server.requests).toEqual([]);
  });

  test('is of lanes and tasks that there are, one a line whatever they are called', async () => {
    // However long this machine takes, the time is not up.
    vi.useFakeTimers({ toFake: ['setTimeout'] });
    api.server.respond = ({ path }) => {
      if (path.includes('/lanes'))
        return { status: 200, json: { lanes: [{ name: 'factory', backlog: { ready: 2 } }] } };
      return {
        status: 200,
        json: { tasks: [{ id: 'task_1', status: 'ready', title: 'Two\nlines\tof it' }] },
      };
    };
    expect(await complete('lane', 'pause', '')).toEqual(['factory']);
    expect(await complete('task', 'list', '--lane', 'f')).toEqual(['factory']);
    expect(await complete('work', '')).toEqual(['factory']);
    expect(await complete('task', 'get', '-b', 'other', 'task_')).toEqual(['task_1']);
    expect(printed[0]).toBe('task_1\tready: Two lines of it');
    expect(api.server.requests.at(-1)?.path).toBe('/v1/boards/other/tasks?limit=30');
    // Only for what is being typed.
    const asked = api.server.requests.length;
    await complete('task', 'get', '--wa');
    expect(api.server.requests).toHaveLength(asked);
  });

  test('is bounded in time, and silent about a server that does not answer or refuses', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout'] });
    const asked = new Promise<void>((resolve) => {
      api.server.respond = () => {
        resolve();
        return 'hang';
      };
    });
    const completed = complete('lane', 'pause', '');
    await asked;
    await vi.advanceTimersByTimeAsync(LIVE_MS_MAX);
    expect(await completed).toEqual([]);
    api.server.respond = () => ({ status: 401, json: {} });
    expect(await complete('lane', 'pause', '')).toEqual([]);
    expect(await complete('nonsense', 'of', 'somebody', '')).toEqual([]);
  });
});

describe('a script', () => {
  test('is there for each shell, and asks this program', async () => {
    for (const shell of ['bash', 'zsh', 'fish', 'powershell']) {
      printed = [];
      expect(await api.run(['completion', shell])).toMatchObject({ code: 0, stderr: '' });
      expect(printed.join('\n')).toMatch(/lanekeeper complete\b/);
    }
    expect((await api.run(['completion', 'tcsh'])).code).toBe(2);
  });

  test('for bash offers what the program answers, without other packages, and can be read twice', async () => {
    const { stdout: before } = await api.run(['completion', 'bash']);
    // Its parts go to the console and to our own stream, in this order.
    const script = `${before.replace(/fi\n$/, '')}${printed.join('\n')}\nfi\n`;
    const asked = `
${script}${script}
lanekeeper() { [ "$*" = 'complete -- lane pause f' ] && printf 'factory\\t2 ready\\nfarm\\t0 ready\\n:4\\n'; }
compopt() { :; }
COMP_WORDS=(lanekeeper lane pause f); COMP_CWORD=3
"$(complete -p lanekeeper | sed -E 's/.*-F ([^ ]+).*/\\1/')"
printf '%s\\n' "\${COMPREPLY[@]}"`;
    const { stdout, stderr } = spawnSync('bash', ['--norc', '-c', asked], { encoding: 'utf8' });
    expect(stderr).toBe('');
    expect(stdout).toMatch(/^factory/m);
    expect(stdout).toMatch(/^farm/m);
  });
});
