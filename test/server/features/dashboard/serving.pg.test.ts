/** The dashboard's page and files as a browser is given them: guarded, cached as they may be, and nothing but them. */
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createTestDatabase, type TestDatabase } from '../../../fixtures/database.ts';
import { startTestServer, type TestServer, useTestServer } from '../../../fixtures/server.ts';

const SCRIPT = `export const words = '${'lane '.repeat(200)}';\n`;
const PAGE = `<!doctype html><title>Lanekeeper</title>${'<p>x</p>'.repeat(50)}`;

let database: TestDatabase;
let server: TestServer;
let folder: string;

async function makeBuild(): Promise<string> {
  const made = await mkdtemp(join(tmpdir(), 'lanekeeper-dashboard-'));
  const dist = join(made, 'dashboard');
  await mkdir(join(dist, 'assets', 'folder.js'), { recursive: true });
  await writeFile(join(made, 'secret.js'), 'outside');
  await writeFile(join(dist, 'secret.js'), 'beside');
  await writeFile(join(dist, 'index.html'), PAGE);
  await writeFile(join(dist, 'favicon.svg'), '<svg xmlns="http://www.w3.org/2000/svg"/>');
  await writeFile(join(dist, 'assets', 'app-1a2b.js'), SCRIPT);
  await writeFile(join(dist, 'assets', 'app-1a2b.js.map'), '{}');
  await writeFile(join(dist, 'assets', 'face-1a2b.woff2'), 'of no kind that a build makes');
  await writeFile(join(dist, 'assets', 'dot-1a2b.svg'), '<svg/>');
  return dist;
}

beforeAll(async () => {
  database = await createTestDatabase();
  folder = await makeBuild();
  server = await startTestServer(database.url, {}, { dashboardDir: folder });
});
afterAll(async () => {
  await server.stop();
  await database.drop();
  await rm(join(folder, '..'), { recursive: true, force: true });
});

interface Served {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly text: string;
}

/** Unlike fetch: sends the path as it is, and unpacks nothing. */
function ask(path: string, headers: Record<string, string> = {}, method = 'GET'): Promise<Served> {
  const { hostname, port } = new URL(server.url);
  return new Promise((resolve, reject) => {
    const asking = request({ hostname, port, path, method, headers }, (answer) => {
      const chunks: Buffer[] = [];
      answer.on('data', (chunk: Buffer) => chunks.push(chunk));
      answer.on('end', () =>
        resolve({
          status: answer.statusCode ?? 0,
          headers: answer.headers,
          text: Buffer.concat(chunks).toString('latin1'),
        }),
      );
    });
    asking.on('error', reject);
    asking.end();
  });
}

describe('the page of the dashboard', () => {
  test.each(['/', '/boards', '/boards/default', '/boards/default/tasks/task_1', '/?x=1'])(
    'is at %s, guarded, and asked for anew each time',
    async (path) => {
      const { status, headers, text } = await ask(path);
      expect([status, text]).toEqual([200, PAGE]);
      expect(headers).toMatchObject({
        'content-type': 'text/html; charset=utf-8',
        'cache-control': 'no-cache',
        'x-content-type-options': 'nosniff',
        'referrer-policy': 'no-referrer',
        'cross-origin-opener-policy': 'same-origin',
        vary: 'Accept-Encoding',
      });
      const policy = String(headers['content-security-policy']).split('; ').toSorted();
      expect(policy).toEqual(
        [
          "default-src 'none'",
          "script-src 'self'",
          "style-src 'self'",
          "img-src 'self' data:",
          "connect-src 'self'",
          "base-uri 'none'",
          "form-action 'none'",
          "frame-ancestors 'none'",
        ].toSorted(),
      );
      expect(headers['permissions-policy']).toContain('camera=()');
      expect(headers['set-cookie']).toBeUndefined();
    },
  );

  test('is not sent again to who has it', async () => {
    const { headers } = await ask('/');
    const etag = String(headers['etag']);
    for (const known of [etag, `W/${etag}`, `"other", ${etag}`, '*']) {
      const again = await ask('/', { 'If-None-Match': known });
      expect([known, again.status, again.text, again.headers['etag']]).toEqual([known, 304, '', etag]);
      expect(again.headers['content-security-policy']).toBe(headers['content-security-policy']);
    }
    expect((await ask('/', { 'If-None-Match': '"other"' })).status).toBe(200);
  });

  test('answers HEAD with the same head and no body', async () => {
    const [got, head] = [await ask('/'), await ask('/', {}, 'HEAD')];
    expect([head.status, head.text]).toEqual([200, '']);
    expect(head.headers['content-length']).toBe(String(PAGE.length));
    expect(head.headers['etag']).toBe(got.headers['etag']);
  });

  test('says how it is built where it has not been, and is there once it has been', async () => {
    const dist = join(folder, '..', 'later');
    const unbuilt = await useTestServer(database.url, {}, { dashboardDir: dist });
    const page = await unbuilt.call('GET', '/boards/default', { token: null });
    expect([page.status, page.headers.get('Cache-Control')]).toEqual([200, 'no-store']);
    expect(page.body).toContain('npm run build');
    expect(page.body).toContain('href="/docs"');
    expect(page.headers.get('Content-Security-Policy')).toContain("default-src 'none'");
    expect((await unbuilt.call('GET', '/assets/app.js', { token: null })).code).toBe('not_found');
    expect((await unbuilt.call('GET', '/favicon.svg', { token: null })).code).toBe('not_found');

    for (const [name, text] of [
      ['app-1.js', 'one'],
      ['app-2.js', 'other'],
    ] as const) {
      await mkdir(join(dist, 'assets'), { recursive: true });
      await writeFile(join(dist, 'assets', name), text);
      await writeFile(join(dist, 'index.html'), `<script src="/assets/${name}"></script>`);
      expect((await unbuilt.call('GET', '/', { token: null })).body).toContain(name);
      expect((await unbuilt.call('GET', `/assets/${name}`, { token: null })).body).toBe(text);
    }
  });
});

describe('a file of the dashboard', () => {
  test('may be kept for ever, because its name changes with it', async () => {
    const { status, headers, text } = await ask('/assets/app-1a2b.js');
    expect([status, text]).toEqual([200, SCRIPT]);
    expect(headers).toMatchObject({
      'content-type': 'text/javascript; charset=utf-8',
      'cache-control': 'public, max-age=31536000, immutable',
      'x-content-type-options': 'nosniff',
      vary: 'Accept-Encoding',
    });
    expect((await ask('/favicon.svg')).headers).toMatchObject({
      'content-type': 'image/svg+xml',
      'cache-control': 'no-cache',
    });
  });

  test('is compressed for who can read that, and for nobody else', async () => {
    const plain = await ask('/assets/app-1a2b.js', { 'Accept-Encoding': 'br;q=1, gzip;q=0' });
    expect([plain.headers['content-encoding'], plain.text]).toEqual([undefined, SCRIPT]);
    for (const accepted of ['gzip', 'br, GZIP;q=0.5', '*', 'deflate, gzip, br']) {
      const { headers, text } = await ask('/assets/app-1a2b.js', { 'Accept-Encoding': accepted });
      expect([accepted, headers['content-encoding']]).toEqual([accepted, 'gzip']);
      expect(Number(headers['content-length'])).toBe(text.length);
      expect(text.length).toBeLessThan(SCRIPT.length / 4);
      expect(headers['etag']).not.toBe(plain.headers['etag']);
    }
    // As browsers do: unpacked on the way.
    const fetched = await fetch(`${server.url}/assets/app-1a2b.js`);
    expect([fetched.headers.get('Content-Encoding'), await fetched.text()]).toEqual(['gzip', SCRIPT]);
    // Where it would be no smaller.
    const dot = await ask('/assets/dot-1a2b.svg', { 'Accept-Encoding': 'gzip' });
    expect([dot.headers['content-encoding'], dot.text]).toEqual([undefined, '<svg/>']);
  });

  test.each([
    '/assets/..%2fsecret.js',
    '/assets/..%2f..%2fsecret.js',
    '/assets/%2e%2e%2fsecret.js',
    '/assets/../secret.js',
    '/assets/..%5csecret.js',
    '/assets/....//secret.js',
    '/assets/%2fetc%2fpasswd',
    '/assets/app-1a2b.js%00',
    '/assets/app-1a2b.js.map',
    '/assets/folder.js',
    '/assets/__proto__',
    '/assets/constructor',
    '/assets/index.html',
    '/assets/',
    '/assets',
    '/assets/missing.js',
    '/secret.js',
    '/index.html',
    '/boardsx',
    '/sign-in',
    '/assets/face-1a2b.woff2',
    '/dashboard',
  ])('is not %s, which is answered as any unknown address', async (path) => {
    const { status, headers, text } = await ask(path);
    expect([status, headers['content-type']]).toEqual([404, 'application/problem+json']);
    expect(JSON.parse(text)).toMatchObject({ code: 'not_found', resource: 'route' });
    expect(headers['cache-control']).toBe('no-store');
  });
});
