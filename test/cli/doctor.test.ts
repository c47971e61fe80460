/** doctor: each thing that can be wrong is named with its cause and what to do; a server that is well passes all. */
import { chmod, mkdir, writeFile } from 'node:fs/promises';
import type { AddressInfo } from 'node:net';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { beforeEach, describe, expect, test } from 'vitest';
import { compareClocks, compareVersions } from '../../src/cli/doctor/server-checks.ts';
import { packageVersion } from '../../src/cli/package-version.ts';
import { problem, type Responder } from '../client/fixtures/scripted-server.ts';
import { useScriptedApi } from './fixtures/scripted-api.ts';

const api = useScriptedApi();

const KEY = { id: 'key_1', role: 'orchestrator', name: 'n', boards: ['*'], lane: null, expires_at: null };
const well: Responder = ({ path }) => {
  if (path === '/livez') return { status: 200, json: { status: 'ok', version: packageVersion() } };
  if (path === '/readyz')
    return { status: 200, json: { status: 'ready', checks: { database: { ok: true, detail: 'answers' } } } };
  if (path === '/v1/whoami') return { status: 200, json: { principal: { type: 'key', key: KEY } } };
  if (path === '/mcp') return { status: 200, json: { jsonrpc: '2.0', id: 1, result: {} } };
  return { status: 200, json: { board: {} } };
};

beforeEach(() => {
  api.server.respond = well;
  api.server.accept = (socket) => {
    socket.on('message', () => socket.send(JSON.stringify({ type: 'watching', id: 'watch', cursor: 'c' })));
  };
});

interface Finding {
  readonly check: string;
  readonly status: string;
  readonly detail: string;
  readonly next?: string;
}

async function examine(
  env: Record<string, string> = {},
): Promise<{ code: number; found: Map<string, Finding> }> {
  const { code, stdout } = await api.run(['doctor', '--json'], { env });
  const { ok, checks } = JSON.parse(stdout) as { ok: boolean; checks: Finding[] };
  expect(ok).toBe(code === 0);
  // What is wrong comes with what to do.
  expect(checks.filter(({ status, next }) => status === 'fail' && next === undefined)).toEqual([]);
  return { code, found: new Map(checks.map((each) => [each.check, each])) };
}

describe('doctor', () => {
  test('finds nothing wrong with a server that is well', async () => {
    const { code, found } = await examine();
    const statuses = Object.fromEntries([...found].map(([check, { status }]) => [check, status]));
    expect({ code, statuses }).toEqual({
      code: 0,
      statuses: {
        server: 'ok',
        version: 'ok',
        clock: 'ok',
        database: 'ok',
        key: 'ok',
        board: 'ok',
        websocket: 'ok',
        mcp: 'ok',
        'data directory': 'skipped',
        profiles: 'skipped',
      },
    });
    expect((await api.run(['doctor'])).stdout).toContain('role orchestrator, from LANEKEEPER_TOKEN');
  });

  test('tells a refused key, a missing board, a database that is away and a socket that does not open apart', async () => {
    api.server.refuseUpgradesWith = 403;
    api.server.respond = (request) => {
      if (request.path === '/readyz')
        return {
          status: 503,
          json: { status: 'unready', checks: { database: { ok: false, detail: 'does not answer' } } },
        };
      if (request.path === '/v1/whoami') return problem(401, 'unauthenticated');
      if (request.path === '/mcp') return { status: 404 };
      return well(request);
    };
    const { code, found } = await examine();
    expect(code).toBe(1);
    expect(found.get('database')).toMatchObject({ status: 'fail', detail: 'does not answer' });
    expect(found.get('key')).toMatchObject({
      status: 'fail',
      detail: expect.stringContaining('unauthenticated'),
    });
    // A socket that is refused with this key says nothing about sockets.
    expect(found.get('websocket')).toMatchObject({ status: 'skipped' });
    expect(found.get('mcp')).toMatchObject({
      status: 'skipped',
      detail: expect.stringContaining('not offered'),
    });
    api.server.respond = (request) =>
      request.path === '/v1/boards/default' ? problem(404, 'not_found') : well(request);
    const missing = await examine();
    expect(missing.found.get('board')).toMatchObject({ status: 'warn' });
    expect([missing.code, missing.found.get('websocket')?.status]).toEqual([0, 'skipped']);
    expect((await api.run(['doctor'])).stderr).toBe('Nothing has failed; 1 warning.\n');
    api.server.respond = well;
    expect((await examine()).found.get('websocket')).toMatchObject({
      status: 'fail',
      next: expect.stringContaining('proxy'),
    });
  });

  test('blames no proxy for a socket that the server itself has closed', async () => {
    api.server.accept = (socket) => socket.close(4401, 'not with this key');
    const { code, found } = await examine();
    expect([code, found.get('websocket')?.status]).toEqual([1, 'fail']);
    expect(found.get('websocket')?.next).not.toContain('proxy');
  });

  test('tells a port where nothing listens from one that another program has', async () => {
    const other = createServer((socket) => {
      socket.on('error', () => undefined);
      socket.end('SSH-2.0-other\r\n', () => socket.destroy());
    });
    await new Promise<void>((resolve) => other.listen(0, '127.0.0.1', resolve));
    const { port } = other.address() as AddressInfo;
    const env = { LANEKEEPER_URL: `http://127.0.0.1:${port}` };
    const taken = await examine(env);
    expect(taken.found.get('port')).toMatchObject({
      status: 'fail',
      detail: expect.stringContaining('another program'),
    });
    await new Promise((resolve) => other.close(resolve));
    const free = await examine(env);
    expect([free.code, free.found.get('server')?.next, free.found.get('port')?.status]).toEqual([
      1,
      'lanekeeper serve',
      'ok',
    ]);
    api.server.respond = () => ({ status: 200, json: { hello: 'world' } });
    expect((await examine()).found.get('server')?.detail).toContain('not as Lanekeeper does');
  });

  test('finds keys that others may read', async () => {
    const data = join(api.directory, 'data');
    await mkdir(data, { mode: 0o711 });
    await writeFile(join(data, 'admin-key'), 'lk_admin', { mode: 0o644 });
    const env = { LANEKEEPER_DATA_DIR: data };
    const open = await examine(env);
    expect([open.code, open.found.get('admin key')?.next]).toEqual([
      1,
      `chmod 600 ${join(data, 'admin-key')}`,
    ]);
    await chmod(join(data, 'admin-key'), 0o600);
    await chmod(data, 0o777);
    expect((await examine(env)).found.get('data directory')).toMatchObject({ status: 'fail' });
    await chmod(data, 0o711);
    expect((await examine(env)).code).toBe(0);
  });

  test('compares versions by what may change between them, and clocks by what is visible', () => {
    expect(compareVersions('0.1.0', '0.1.9').status).toBe('ok');
    expect(compareVersions('0.1.0', '0.2.0').status).toBe('warn');
    expect(compareVersions('1.2.0', '1.3.0').status).toBe('ok');
    expect(compareVersions('1.2.0', '2.0.0').status).toBe('warn');
    const date = 'Mon, 05 Jan 2026 10:00:00 GMT';
    const at = (seconds: number, tookSeconds = 0) => {
      const askedMs = Date.parse(date) + seconds * 1000;
      return compareClocks(date, { askedMs, answeredMs: askedMs + tookSeconds * 1000 });
    };
    expect([at(1).status, at(-20).status, at(3600).status]).toEqual(['ok', 'warn', 'fail']);
    // An answer that was long on its way says nothing of the clocks.
    expect(at(-20, 30).status).toBe('ok');
    expect(at(-20).detail).toBe("this clock is 20 s behind the server's");
    expect(compareClocks(null, { askedMs: 0, answeredMs: 0 }).status).toBe('skipped');
  });
});
