/** The client has a method for every route, and no method that makes another request than its name says. */
import { describe, expect, test } from 'vitest';
import { type Client, connect } from '../../src/client/client.ts';
import type { OperationId } from '../../src/client/operation-types.ts';
import type { CallOptions } from '../../src/client/transport.ts';
import type { Route } from '../../src/contract/route.ts';
import { ROUTES } from '../../src/contract/routes.ts';
import { scriptedFetch } from './fixtures/scripted-fetch.ts';
import { SDK_METHODS } from './fixtures/sdk-methods.ts';

/** What methods take apart; each operation uses the members that it knows. */
const BODY = {
  ...{ tasks: [], operations: [], lines: ['x'], ids: ['m'] },
  ...{ message: 'm', body: 'c', reason: 'r', run_at: '2026-01-01T00:00:00Z' },
};

/** Methods that make requests of others. */
const COMPOSED = ['delegations.collect'];

type LooseMethod = (client: Client, args: object, options: CallOptions) => Promise<unknown>;

function methodOf({ operationId }: Route): LooseMethod | { readonly none: string } {
  return SDK_METHODS[operationId as OperationId] as LooseMethod | { readonly none: string };
}

/** Each parameter of the path by its own name, so that none can be mistaken for another. */
function paramsOf({ path }: Route): Record<string, string> {
  return Object.fromEntries([...path.matchAll(/\{(\w+)\}/g)].map(([, name = '']) => [name, `the-${name}`]));
}

const withMethod = ROUTES.filter((route) => typeof methodOf(route) === 'function');
const without = ROUTES.filter((route) => typeof methodOf(route) !== 'function');

async function callThrough(client: Client, route: Route): Promise<void> {
  const method = methodOf(route);
  if (typeof method !== 'function') throw new Error(`${route.operationId} has no method`);
  const hasBody = route.body !== undefined;
  await method(
    client,
    { params: paramsOf(route), query: { limit: 7 }, ...(hasBody ? { body: BODY } : {}) },
    { token: 'its-own' },
  );
}

describe('the client', () => {
  test.each(withMethod.map((route) => [route.operationId, route] as const))('calls %s', async (_, route) => {
    const { fetch, requests } = scriptedFetch(() => ({ json: { next_page_token: null, events: [] } }));
    await callThrough(
      connect({ url: 'http://sdk.test', board: 'another', token: 'the-client', fetch }),
      route,
    );
    const path = route.path.replace(/\{(\w+)\}/g, 'the-$1');
    const isList = route.query !== undefined;
    expect(requests).toMatchObject([
      { method: route.method.toUpperCase(), path: isList ? `${path}?limit=7` : path },
    ]);
    expect(requests[0]?.headers.get('authorization')).toBe('Bearer its-own');
    if (route.body !== undefined && route.isBodyOptional !== true) expect(requests[0]?.body).toBeDefined();
  });

  test('has no method for what only people look at', () => {
    expect(without.map((route) => route.operationId)).toEqual(['docsPage']);
  });

  test('has no method that is not held against a route', async () => {
    const client = connect({ url: 'http://sdk.test', fetch: scriptedFetch().fetch });
    const uncalled = new Set<string>();
    for (const [name, resource] of Object.entries(client)) {
      if (name === 'transport' || typeof resource !== 'object') continue;
      const prototype: object = Object.getPrototypeOf(resource);
      for (const method of Object.getOwnPropertyNames(prototype).filter((word) => word !== 'constructor')) {
        uncalled.add(`${name}.${method}`);
        const original = Reflect.get(resource, method) as (...args: unknown[]) => unknown;
        Reflect.set(resource, method, (...args: unknown[]) => {
          uncalled.delete(`${name}.${method}`);
          return original.apply(resource, args);
        });
      }
    }
    expect(uncalled.size).toBeGreaterThan(60);
    for (const route of withMethod) await callThrough(client, route);
    expect([...uncalled]).toEqual(COMPOSED);
  });
});
