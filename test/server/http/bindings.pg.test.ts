import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { ROUTES } from '../../../src/contract/routes.ts';
import type { App } from '../../../src/server/http/app.ts';
import { createTestDatabase, type TestDatabase } from '../../fixtures/database.ts';
import { startTestServer, type TestServer } from '../../fixtures/server.ts';

const apps: App[] = [];
vi.mock(import('../../../src/server/http/app.ts'), async (importOriginal) => {
  const original = await importOriginal();
  return {
    ...original,
    createApp: (...parameters) => {
      const app = original.createApp(...parameters);
      apps.push(app);
      return app;
    },
  };
});

let database: TestDatabase;
let server: TestServer;
beforeAll(async () => {
  database = await createTestDatabase();
  server = await startTestServer(database.url);
});
afterAll(async () => {
  await server.stop();
  await database.drop();
});

/** Bound beside the contract: files of the docs page, the dashboard, and MCP, which describes itself. The watch is an upgrade and not a route of the application. */
const EXTRAS = [
  'GET /',
  'GET /assets/:file',
  'GET /boards',
  'GET /boards/*',
  'GET /docs/:asset',
  'GET /favicon-attention.svg',
  'GET /favicon.svg',
  'POST /mcp',
];

describe('the routes that the server binds', () => {
  test('are those of the contract and a known few, no more and no fewer', () => {
    const bound = (apps[0]?.routes ?? []).map(({ method, path }) => `${method} ${path}`);
    const declared = ROUTES.map(
      (route) => `${route.method.toUpperCase()} ${route.path.replaceAll(/\{(\w+)\}/g, ':$1')}`,
    );
    expect(bound.toSorted()).toEqual([...declared, ...EXTRAS].toSorted());
    expect(new Set(bound).size).toBe(bound.length);
  });

  test('have operation ids of their own', () => {
    expect(new Set(ROUTES.map(({ operationId }) => operationId)).size).toBe(ROUTES.length);
  });
});

describe('a method that a resource does not offer', () => {
  const paths = [...new Set(ROUTES.map(({ path }) => path))];
  test.each(paths)('is answered 405 with Allow at %s', async (path) => {
    const offered = ROUTES.filter((route) => route.path === path).map(({ method }) => method.toUpperCase());
    const concrete = path.replaceAll(/\{\w+\}/g, 'x');
    for (const method of ['PUT', 'DELETE', 'PATCH', 'OPTIONS', 'POST', 'GET']) {
      if (offered.includes(method)) continue;
      const answer = await server.call(method, concrete);
      // "/tasks/batch" is also a task by the name of batch, and so on: what another route takes is its affair.
      if (ROUTES.some((route) => route.path !== path && takes(route.path, concrete))) continue;
      expect({ method, status: answer.status, code: answer.code }).toEqual({
        method,
        status: 405,
        code: 'method_not_allowed',
      });
      expect(answer.headers.get('Allow')?.split(', ').toSorted()).toEqual(offered.toSorted());
    }
  });
});

function takes(pattern: string, path: string): boolean {
  return new RegExp(`^${pattern.replaceAll('.', '\\.').replaceAll(/\{\w+\}/g, '[^/]+')}$`).test(path);
}

describe('every answer', () => {
  test('echoes a request id that is a UUID, and makes one otherwise', async () => {
    const id = '018f4d2e-7c1a-7b3c-9d4e-5f6a7b8c9d0e';
    const echoed = await server.call('GET', '/v1/boards', { headers: { 'X-Request-Id': id } });
    expect(echoed.headers.get('X-Request-Id')).toBe(id);
    const refused = await server.call('GET', '/v1/boards/missing', { headers: { 'X-Request-Id': id } });
    expect(refused.body.instance).toBe(`urn:uuid:${id}`);
    // Also where no route is found, and where an upgrade or a file is asked for.
    for (const path of ['/nowhere', '/v1/boards/default/watch', '/docs/nothing', '/v1/livez/']) {
      const elsewhere = await server.call('GET', path, { headers: { 'X-Request-Id': id } });
      expect([path, elsewhere.body.instance]).toEqual([path, `urn:uuid:${id}`]);
    }
    for (const odd of ['not a uuid', 'x'.repeat(3000), '<script>']) {
      const made = await server.call('GET', '/v1/boards', { headers: { 'X-Request-Id': odd } });
      expect(made.headers.get('X-Request-Id')).toMatch(/^[0-9a-f-]{36}$/);
    }
  });

  test('is not cached, and not sniffed', async () => {
    const { headers } = await server.call('GET', '/v1/boards');
    expect(headers.get('Cache-Control')).toBe('no-store');
    expect(headers.get('X-Content-Type-Options')).toBe('nosniff');
  });

  test('to a path without a resource is a 404 that says so', async () => {
    for (const path of ['//', '/v1', '/v1/nothing', '/v2/boards', '/v1/boards/a/lanes/b/c/d']) {
      const answer = await server.call('GET', path);
      expect([answer.status, answer.code, answer.body.resource]).toEqual([404, 'not_found', 'route']);
    }
  });
});
