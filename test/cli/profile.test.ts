/** Profiles: named servers, whose keys stay in one file that only this user may read, and go to no other server. */
import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { useScriptedApi } from './fixtures/scripted-api.ts';

const api = useScriptedApi();

const stored = async () =>
  JSON.parse(await readFile(join(api.directory, 'lanekeeper', 'profiles.json'), 'utf8')) as {
    current: string | null;
    profiles: Record<string, { url: string; token: string; board?: string }>;
  };
/** Without a server and a key in the environment. */
const run = (line: string, stdin = '') =>
  api.run(line.split(' '), { stdin, env: { LANEKEEPER_URL: '', LANEKEEPER_TOKEN: '' } });

test('profiles are stored, listed without their keys, used and removed', async () => {
  const { url } = api.server;
  expect(await run(`profile set home --url ${url} --token -`, 'lk_home\n')).toMatchObject({
    code: 0,
    stdout: '',
  });
  expect(await run('profile set away --url https://away.example --board factory', 'lk_away')).toMatchObject({
    code: 0,
  });
  expect((await stat(join(api.directory, 'lanekeeper', 'profiles.json'))).mode & 0o777).toBe(0o600);
  expect(await run('profile use home')).toMatchObject({ code: 0 });

  api.server.respond = () => ({ status: 200, json: { attention: [], truncated: false } });
  await run('attention');
  expect(api.server.requests.at(-1)?.headers.authorization).toBe('Bearer lk_home');

  const listed = await run('profile list --json');
  expect(JSON.parse(listed.stdout)).toEqual({
    profiles: [
      { name: 'home', url, board: null, current: true },
      { name: 'away', url: 'https://away.example', board: 'factory', current: false },
    ],
  });
  for (const end of [listed, await run('profiles list')]) expect(end.stdout).not.toContain('lk_');

  // A board alone is changed without the key being asked for; another server takes another key.
  expect(await run('profile set away --board other')).toMatchObject({ code: 0 });
  expect((await stored()).profiles['away']).toEqual({
    url: 'https://away.example',
    token: 'lk_away',
    board: 'other',
  });
  expect(await run('profile set away --url https://elsewhere.example')).toMatchObject({ code: 2 });
  expect((await stored()).profiles['away']?.url).toBe('https://away.example');

  expect(await run('profile remove home')).toMatchObject({ code: 0 });
  expect(await stored()).toMatchObject({ current: null, profiles: { away: {} } });
  expect(JSON.stringify(await stored())).not.toContain('lk_home');
  for (const line of ['profile use home', 'profile remove home', 'profile set .. --url https://x.example'])
    expect(await run(line)).toMatchObject({ code: 2 });
});

test('logout forgets the profile that commands would use, and no other', async () => {
  const { url } = api.server;
  await run(`profile set one --url ${url} --token -`, 'lk_one');
  await run(`profile set two --url ${url} --token -`, 'lk_two');
  await run('profile use one');
  const env = { LANEKEEPER_URL: '', LANEKEEPER_TOKEN: '', LANEKEEPER_PROFILE: 'two' };
  expect(await api.run(['logout'], { env })).toMatchObject({
    code: 0,
    stderr: expect.stringContaining('"two"'),
  });
  expect(Object.keys((await stored()).profiles)).toContain('one');
  expect(Object.keys((await stored()).profiles)).not.toContain('two');
  expect(await api.run(['logout'], { env })).toMatchObject({
    code: 2,
    stderr: expect.stringContaining('There is no profile "two"'),
  });
  expect(await run('logout')).toMatchObject({ code: 0 });
  expect((await stored()).current).toBeNull();
  expect(await run('logout')).toMatchObject({ code: 2 });
});

test('a profile keeps its key for the same server in another spelling, and takes no address that is none', async () => {
  await run('profile set spelled --url https://lanes.example --token -', 'lk_spelled');
  expect(await run('profile set spelled --url https://LANES.example:443/')).toMatchObject({ code: 0 });
  expect((await stored()).profiles['spelled']?.token).toBe('lk_spelled');
  for (const url of ['localhost:7420', 'ftp://lanes.example', 'https://user:pass@lanes.example'])
    for (const line of [`profile set spelled --url ${url}`, `login --url ${url}`, `attention --url ${url}`])
      expect(await run(line, 'lk_x'), line).toMatchObject({ code: 2, stdout: '' });
});
