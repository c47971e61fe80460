import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { buildOpenApiDocument } from '../../../src/contract/openapi.ts';
import type { Route } from '../../../src/contract/route.ts';
import { ROUTES } from '../../../src/contract/routes.ts';
import { present } from '../../../src/server/kernel/assert.ts';
import { sampleOf } from '../../contract/sample.ts';
import { useBench } from '../../fixtures/bench.ts';

const bench = useBench();
const document = buildOpenApiDocument('fuzz');

/** Found out about by somebody, some day. */
const HOSTILE: readonly unknown[] = [
  null,
  true,
  -1,
  0.1,
  2 ** 31,
  2 ** 53,
  -(2 ** 63),
  1e308,
  '',
  ' ',
  '%',
  "' OR 1=1 --",
  '\u0000',
  '\ud800',
  '\uffff',
  '../../etc/passwd',
  '{{7*7}}',
  'x'.repeat(70_000),
  'task_7zzzzzzzzzzzzzzzzzzzzzzzzz',
  '9999-12-31T23:59:59.999999999-15:59',
  '2026-01-01T00:00:00+15:59',
  [],
  [[]],
  {},
  { a: {} },
  { constructor: { prototype: 1 } },
];
const value = fc.oneof(
  fc.constantFrom(...HOSTILE),
  fc.jsonValue({ maxDepth: 3 }),
  fc.string({ unit: 'binary', maxLength: 40 }),
  fc.double(),
);

/** A valid body with some of its fields replaced, dropped or joined by strangers. */
function bodyOf(route: Route): fc.Arbitrary<unknown> {
  const operation = document.paths[route.path]?.[route.method] as Record<string, unknown>;
  const content = operation['requestBody'] as { content: Record<string, { schema: unknown }> };
  const schema = content.content['application/json']?.schema;
  const valid = sampleOf(schema, document);
  const fields = fieldsOf(schema);
  const change = fc.dictionary(fc.constantFrom('unknown', ...fields), value, { maxKeys: 3 });
  return fc.oneof(
    { weight: 6, arbitrary: change.map((changes) => ({ ...(valid as object), ...changes })) },
    { weight: 1, arbitrary: value },
  );
}

function fieldsOf(schema: unknown): string[] {
  const { $ref, properties } = schema as { $ref?: string; properties?: Record<string, unknown> };
  if ($ref !== undefined) return fieldsOf(document.components['schemas']?.[$ref.replace(/.*\//, '')]);
  return Object.keys(properties ?? {});
}

const pathPart = fc.oneof(
  { weight: 3, arbitrary: fc.constantFrom('default', 'a', 'x') },
  {
    weight: 1,
    arbitrary: fc.constantFrom('run_7zzzzzzzzzzzzzzzzzzzzzzzzz', 'task_00000000000000000000000000', 'key_'),
  },
  { weight: 1, arbitrary: fc.string({ unit: 'binary', minLength: 1, maxLength: 20 }) },
);
/** Names that leave the default board and its lane usable for the next request. */
const HARMLESS = ROUTES.filter(
  (route) => !['deleteBoard', 'deleteLane', 'docsPage'].includes(route.operationId),
);

const ROUTE_OF = new Map(HARMLESS.map((route) => [route.operationId, route]));
const request = fc.constantFrom(...HARMLESS).chain((route) =>
  fc.record({
    operation: fc.constant(route.operationId),
    parts: fc.array(pathPart, { minLength: 3, maxLength: 3 }),
    query: fc.dictionary(
      fc.constantFrom('unknown', ...Object.keys(route.query?.shape ?? {})),
      fc.oneof(
        // A line longer than Node takes is its affair (431).
        fc.constantFrom(...HOSTILE).map((word) => String(word).slice(0, 3000)),
        fc.string({ unit: 'binary', maxLength: 20 }),
      ),
      { maxKeys: 2 },
    ),
    body: route.body ? bodyOf(route) : fc.constant(undefined),
    headers: fc.dictionary(
      fc.constantFrom('If-Match', 'Idempotency-Key', 'Prefer', 'X-Request-Id', 'traceparent', 'Content-Type'),
      fc.constantFrom('"1"', '*', 'wait=0', 'x', '00-1-2-3', 'application/json; charset=utf-8', 'é', ' '),
      { maxKeys: 2 },
    ),
  }),
);

describe('whatever is sent to a route', () => {
  test('the answer is in the contract and never a 5xx', async () => {
    await bench.makeLane('default', 'a');
    const statuses = new Map<number, number>();
    await fc.assert(
      fc.asyncProperty(request, async ({ operation, parts, query, body, headers }) => {
        const route = present(ROUTE_OF.get(operation), 'a route of the list');
        const left = [...parts];
        const path = route.path.replaceAll(/\{\w+\}/g, () =>
          encodeURIComponent((left.shift() ?? 'x').toWellFormed()),
        );
        const search = new URLSearchParams(Object.entries(query)).toString();
        const answer = await bench.api.call(
          route.method.toUpperCase(),
          search === '' ? path : `${path}?${search}`,
          {
            headers,
            ...(body === undefined ? {} : { rawBody: JSON.stringify(body) ?? '' }),
          },
        );
        statuses.set(answer.status, (statuses.get(answer.status) ?? 0) + 1);
        expect(answer.status).toBeLessThan(500);
      }),
      { numRuns: 600, seed: 20_261_121 },
    );
    // Not all turned away at the door.
    expect([...statuses.keys()]).toEqual(expect.arrayContaining([200, 201, 400, 404]));
  });
});
