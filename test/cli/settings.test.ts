import { chmod, chown, link, mkdir, mkdtemp, rename, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { isLoopback } from '../../src/cli/local-server.ts';
import { profilesPath, readProfiles, writeProfiles } from '../../src/cli/profiles.ts';
import { type GlobalFlags, lateKey, resolveSettings, type Settings } from '../../src/cli/settings.ts';

let directory: string;
let warnings: string[];
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'lanekeeper-settings-'));
  warnings = [];
});
afterEach(() => rm(directory, { recursive: true }));

interface Given {
  readonly flags?: GlobalFlags;
  readonly env?: Record<string, string>;
  readonly stdin?: string;
}

const environment = (env: Record<string, string> = {}) => ({ XDG_CONFIG_HOME: directory, ...env });
const resolve = ({ flags = {}, env, stdin = '' }: Given): Promise<Settings> =>
  resolveSettings(flags, {
    env: environment(env),
    workingDirectory: directory,
    readStdin: () => Promise.resolve(stdin),
    warn: (text) => warnings.push(text),
  });

async function localServer(url: string, pid = process.pid): Promise<void> {
  const data = join(directory, '.lanekeeper');
  await mkdir(data, { recursive: true });
  await writeFile(
    join(data, 'server.json'),
    JSON.stringify({ url, pid, started_at: '2026-01-01T00:00:00.000Z' }),
  );
  await writeFile(join(data, 'admin-key'), 'lk_admin_local\n');
}

const PROFILES = {
  current: 'work',
  profiles: {
    work: { url: 'https://work.example', token: 'lk_work', board: 'factory' },
    home: { url: 'https://home.example', token: 'lk_home' },
  },
};

describe('settings', () => {
  test('without anything are the default server and board, and no credential', async () => {
    const settings = await resolve({});
    expect(settings).toEqual({
      url: 'http://127.0.0.1:7420',
      board: 'default',
      token: undefined,
      tokenSource: 'none',
    });
  });

  test('come from the environment', async () => {
    const env = { LANEKEEPER_URL: 'https://e.example', LANEKEEPER_TOKEN: ' lk_e\n', LANEKEEPER_BOARD: 'b' };
    expect(await resolve({ env })).toMatchObject({ url: 'https://e.example', token: 'lk_e', board: 'b' });
  });

  test('prefer flags to the environment, and read keys from files and stdin', async () => {
    const file = join(directory, 'key');
    await writeFile(file, 'lk_file\n');
    const env = { LANEKEEPER_URL: 'https://e.example', LANEKEEPER_TOKEN: 'lk_e' };
    const flags = { url: 'https://f.example', board: 'b', tokenFile: file };
    expect(await resolve({ env, flags })).toMatchObject({
      url: 'https://f.example',
      token: 'lk_file',
      board: 'b',
    });
    expect(await resolve({ flags: { tokenFile: '-' }, stdin: 'lk_stdin\n' })).toMatchObject({
      token: 'lk_stdin',
    });
    expect(await resolve({ env: { LANEKEEPER_TOKEN_FILE: file } })).toMatchObject({ token: 'lk_file' });
  });

  test('refuse an empty key, two keys, a missing file and a URL that is none', async () => {
    await expect(resolve({ flags: { tokenFile: '-' }, stdin: ' \n' })).rejects.toThrow('no key');
    await expect(resolve({ flags: { tokenFile: '-' }, stdin: 'a\nb' })).rejects.toThrow('more than one key');
    await expect(resolve({ flags: { tokenFile: '/nowhere/key' } })).rejects.toThrow('Cannot read');
    await expect(resolve({ flags: { url: 'nonsense' } })).rejects.toThrow('Not a URL');
  });
});

describe('a profile', () => {
  beforeEach(() => writeProfiles(profilesPath(environment()), PROFILES));

  test('is the current one unless another is named', async () => {
    expect(await resolve({})).toMatchObject({
      url: 'https://work.example',
      token: 'lk_work',
      board: 'factory',
    });
    expect(await resolve({ env: { LANEKEEPER_PROFILE: 'home' } })).toMatchObject({
      token: 'lk_home',
      board: 'default',
    });
    const both = {
      env: { LANEKEEPER_PROFILE: 'work', LANEKEEPER_TOKEN: 'lk_e' },
      flags: { profile: 'home' },
    };
    expect(await resolve(both)).toMatchObject({ url: 'https://home.example', token: 'lk_home' });
  });

  test('keeps its key from every other server', async () => {
    const elsewhere = await resolve({ flags: { url: 'https://elsewhere.example' } });
    expect(elsewhere.token).toBeUndefined();
    await expect(resolve({ flags: { url: 'https://elsewhere.example', profile: 'home' } })).rejects.toThrow(
      'is for',
    );
  });

  test('that does not exist is a mistake that names the ones that do', async () => {
    await expect(resolve({ flags: { profile: 'nope' } })).rejects.toThrow('known: work, home');
    await expect(resolve({ flags: { profile: 'constructor' } })).rejects.toThrow('known: work, home');
  });

  test('is kept in a file for its owner alone, and a wider one is complained about', async () => {
    const path = profilesPath(environment());
    expect((await stat(path)).mode & 0o777).toBe(0o600);
    await resolve({});
    expect(warnings).toEqual([]);
    await chmod(path, 0o644);
    await resolve({});
    expect(warnings[0]).toContain(`chmod 600 ${path}`);
  });

  test('file that is damaged is an error, not a loss', async () => {
    const path = profilesPath(environment());
    await writeFile(path, '{');
    await expect(readProfiles(path, () => undefined)).rejects.toThrow('not a file of profiles');
  });
});

describe('a server on this machine', () => {
  test('is the default while it runs, with its admin key', async () => {
    await localServer('http://127.0.0.1:4321');
    const settings = await resolve({});
    expect(settings).toMatchObject({ url: 'http://127.0.0.1:4321', token: 'lk_admin_local' });
    expect(settings.tokenSource).toContain('local server');
  });

  test('is found through LANEKEEPER_DATA_DIR', async () => {
    await localServer('http://127.0.0.1:4321');
    const settings = await resolveSettings(
      {},
      {
        env: environment({ LANEKEEPER_DATA_DIR: join(directory, '.lanekeeper') }),
        workingDirectory: '/',
        readStdin: () => Promise.resolve(''),
        warn: () => undefined,
      },
    );
    expect(settings.token).toBe('lk_admin_local');
  });

  test('has its key sent to no other address', async () => {
    await localServer('http://127.0.0.1:4321');
    const others = [
      'http://127.0.0.1:4322',
      'https://127.0.0.1:4321',
      'http://localhost:4321',
      'http://evil.example:4321',
    ];
    for (const url of others) expect((await resolve({ flags: { url } })).token, url).toBeUndefined();
    expect((await resolve({ env: { LANEKEEPER_URL: 'http://evil.example' } })).token).toBeUndefined();
    expect((await resolve({ flags: { url: 'http://127.0.0.1:4321/' } })).token).toBe('lk_admin_local');
  });

  test('does not count when its note is not of a loopback address or it is dead', async () => {
    await localServer('http://10.0.0.1:4321');
    expect(await resolve({})).toMatchObject({ url: 'http://127.0.0.1:7420', token: undefined });
    // Above the largest pid that Linux and macOS hand out.
    await localServer('http://127.0.0.1:4321', 2 ** 30);
    expect(await resolve({})).toMatchObject({ url: 'http://127.0.0.1:7420', token: undefined });
  });

  test('has the key that it makes when it is back, for whoever waits for it at its address', async () => {
    const late = (url: string) => lateKey(url, { env: environment(), workingDirectory: directory });
    expect(await late('http://127.0.0.1:4321')).toBeUndefined();
    await localServer('http://127.0.0.1:4321', 2 ** 30);
    expect(await late('http://127.0.0.1:4321')).toBeUndefined();
    await localServer('http://127.0.0.1:4321');
    expect(await late('http://127.0.0.1:4321')).toBe('lk_admin_local');
    for (const url of ['http://127.0.0.1:4322', 'http://localhost:4321', 'http://evil.example:4321'])
      expect(await late(url), url).toBeUndefined();
  });

  test('is sent no key that somebody else keeps: by a link, or in a file of another account', async () => {
    await localServer('http://127.0.0.1:4321');
    const key = join(directory, '.lanekeeper', 'admin-key');
    await rename(key, join(directory, 'key-of-another'));
    await symlink(join(directory, 'key-of-another'), key);
    expect(await resolve({})).toMatchObject({ url: 'http://127.0.0.1:4321', token: undefined });
    await rm(key);
    await link(join(directory, 'key-of-another'), key);
    expect(await resolve({})).toMatchObject({ token: 'lk_admin_local' });
    // Only root can give a file away; for anybody else there is nothing to tell apart here.
    if (process.getuid?.() === 0) {
      await chown(key, 65_534, 65_534);
      expect(await resolve({})).toMatchObject({ url: 'http://127.0.0.1:4321', token: undefined });
    }
  });

  test('gives way to a profile and to the environment', async () => {
    await localServer('http://127.0.0.1:4321');
    expect(await resolve({ env: { LANEKEEPER_TOKEN: 'lk_e' } })).toMatchObject({
      url: 'http://127.0.0.1:4321',
      token: 'lk_e',
    });
    await writeProfiles(profilesPath(environment()), PROFILES);
    expect(await resolve({})).toMatchObject({ url: 'https://work.example', token: 'lk_work' });
  });
});

test('loopback is what never leaves the machine', () => {
  for (const url of [
    'http://127.0.0.1',
    'http://127.9.9.9:1',
    'http://localhost:7420',
    'http://[::1]:7420',
  ]) {
    expect(isLoopback(url), url).toBe(true);
  }
  for (const url of [
    'http://127.evil.example',
    'http://localhost.evil.example',
    'http://10.0.0.1',
    'nonsense',
  ]) {
    expect(isLoopback(url), url).toBe(false);
  }
});
