/** Settings that are wrong stop the start, with their name and without their value. */
import { readdirSync, readFileSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import { ConfigError, listUnknownSettings, readConfig } from '../../src/server/config.ts';

const KEY = 'a-key-of-at-least-24-characters';

async function fileOf(content: string | Buffer): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'lanekeeper-secret-'));
  onTestFinished(() => rm(directory, { recursive: true }));
  const file = join(directory, 'secret');
  await writeFile(file, content);
  return file;
}

function faultOf(environment: Record<string, string>): string {
  try {
    readConfig(environment);
  } catch (error) {
    if (error instanceof ConfigError) return error.message;
  }
  return 'none';
}

describe('a secret from a file', () => {
  test('is what the file holds, without the line break at its end', async () => {
    for (const ending of ['', '\n', '\r\n'])
      expect(readConfig({ LANEKEEPER_ADMIN_KEY_FILE: await fileOf(KEY + ending) }).adminKey).toBe(KEY);
    expect(readConfig({ LANEKEEPER_SECRET_FILE: await fileOf(' with spaces \n\n') }).secret).toBe(
      ' with spaces \n',
    );
    const url = 'postgres://u:p@h/d';
    expect(readConfig({ DATABASE_URL_FILE: await fileOf(`${url}\n`), DATABASE_URL: '' }).databaseUrl).toBe(
      url,
    );
    expect(readConfig({ LANEKEEPER_SECRET_FILE: '' }).secret).toBe(null);
  });

  test('is not one of two', async () => {
    const file = await fileOf(KEY);
    expect(faultOf({ LANEKEEPER_ADMIN_KEY: KEY, LANEKEEPER_ADMIN_KEY_FILE: file })).toBe(
      'LANEKEEPER_ADMIN_KEY and LANEKEEPER_ADMIN_KEY_FILE are both set: keep one of them',
    );
  });

  test('that is none is said by the name of its variable, and never by its content', async () => {
    const short = await fileOf('short-secret');
    expect(faultOf({ LANEKEEPER_ADMIN_KEY_FILE: short })).toMatch(
      /^LANEKEEPER_ADMIN_KEY_FILE must be at least 24/,
    );
    expect(faultOf({ DATABASE_URL_FILE: short })).toMatch(/^DATABASE_URL_FILE must begin with postgres/);
    expect(faultOf({ LANEKEEPER_SECRET_FILE: '/no/such/file' })).toBe(
      'LANEKEEPER_SECRET_FILE names a file that does not exist',
    );
    expect(faultOf({ LANEKEEPER_SECRET_FILE: tmpdir() })).toBe('LANEKEEPER_SECRET_FILE names a directory');
    expect(faultOf({ LANEKEEPER_SECRET_FILE: await fileOf('\n') })).toBe(
      'LANEKEEPER_SECRET_FILE names an empty file',
    );
    expect(faultOf({ LANEKEEPER_SECRET_FILE: await fileOf(Buffer.alloc(65_537, 'x')) })).toMatch(
      /has at most 65536/,
    );
    for (const fault of [
      faultOf({ LANEKEEPER_ADMIN_KEY_FILE: short }),
      faultOf({ DATABASE_URL_FILE: short }),
    ])
      expect(fault).not.toContain('short-secret');
  });
});

test('trusted proxies are addresses and ranges, and one header is heard', () => {
  expect(readConfig({ LANEKEEPER_TRUSTED_PROXIES: '10.0.0.0/8, ::1' }).trustedProxies).toEqual([
    '10.0.0.0/8',
    '::1',
  ]);
  expect(readConfig({}).trustedProxies).toEqual([]);
  expect(faultOf({ LANEKEEPER_TRUSTED_PROXIES: 'proxy.example' })).toMatch(
    /^LANEKEEPER_TRUSTED_PROXIES must be addresses or CIDR ranges .*"proxy.example" is neither/,
  );
  expect(faultOf({ LANEKEEPER_TRUSTED_PROXIES: '127.0.0.1, 0.0.0.0/0' })).toMatch(
    /^LANEKEEPER_TRUSTED_PROXIES must name the proxies: "0.0.0.0\/0" is everybody/,
  );
  expect(readConfig({ LANEKEEPER_FORWARDED_HEADER: 'Forwarded' }).forwardedHeader).toBe('forwarded');
  expect(faultOf({ LANEKEEPER_FORWARDED_HEADER: 'x-real-ip' })).toMatch(/^LANEKEEPER_FORWARDED_HEADER/);
});

test('what is named like a setting and is none is told, and nothing of others', () => {
  const environment = {
    LANEKEEPER_TRUSTED_PROXY: '10.0.0.1',
    LANEKEEPER_SECRETS: 'x',
    LANEKEEPER_SECRET_FILE: '/run/secret',
    LANEKEEPER_TOKEN: 'x',
    LANEKEEPER_NOTIFY: 'poll',
    DATABASE: 'x',
  };
  expect(listUnknownSettings(environment)).toEqual(['LANEKEEPER_SECRETS', 'LANEKEEPER_TRUSTED_PROXY']);
});

test('every name that the program, its scripts or its examples read is known to the server', () => {
  const root = join(import.meta.dirname, '../..');
  const names = ['src', 'scripts', 'examples'].flatMap((folder) =>
    readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' })
      .filter((path) => /\.(ts|tsx|mjs)$/.test(path) && !path.endsWith('config.test.ts'))
      .flatMap(
        (path) => readFileSync(join(root, folder, path), 'utf8').match(/\bLANEKEEPER_[A-Z_]+\b/g) ?? [],
      ),
  );
  expect(new Set(names).size).toBeGreaterThan(20);
  expect(listUnknownSettings(Object.fromEntries(names.map((name) => [name, '1'])))).toEqual([]);
});
