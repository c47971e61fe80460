import { readFile } from 'node:fs/promises';
import { Ajv2020 } from 'ajv/dist/2020.js';
import addFormats from 'ajv-formats';
import { describe, expect, test } from 'vitest';
import { renderOpenApiYaml } from '../../scripts/write-openapi.ts';
import { buildOpenApiDocument } from '../../src/contract/openapi.ts';
import type { JsonObject } from '../../src/contract/openapi-components.ts';
import { PROBLEMS } from '../../src/contract/problems.ts';
import { SHARED_PROBLEMS } from '../../src/contract/route.ts';
import { ROUTES } from '../../src/contract/routes.ts';
import { sampleOf } from './sample.ts';

const document = buildOpenApiDocument('1.2.3');

const operations = Object.entries(document.paths).flatMap(([path, methods]) =>
  Object.entries(methods).map(([method, operation]) => ({ path, method, operation })),
);

function* nodesOf(node: unknown): Generator<JsonObject> {
  if (typeof node !== 'object' || node === null) return;
  if (!Array.isArray(node)) yield node as JsonObject;
  for (const child of Object.values(node)) yield* nodesOf(child);
}

/** RFC 6901, from a pointer of the form `#/a/b~1c`. */
function resolve(pointer: string): unknown {
  const steps = pointer.slice(2).split('/');
  return steps.reduce<unknown>(
    (node, step) => (node as JsonObject | undefined)?.[step.replaceAll('~1', '/').replaceAll('~0', '~')],
    document,
  );
}

function parametersOf(operation: JsonObject): JsonObject[] {
  const listed = (operation['parameters'] ?? []) as JsonObject[];
  return listed.map((entry) =>
    typeof entry['$ref'] === 'string' ? (resolve(entry['$ref']) as JsonObject) : entry,
  );
}

function responsesOf(operation: JsonObject): [string, JsonObject][] {
  const listed = Object.entries(operation['responses'] as Record<string, JsonObject>);
  return listed.map(([status, entry]) => [
    status,
    typeof entry['$ref'] === 'string' ? (resolve(entry['$ref']) as JsonObject) : entry,
  ]);
}

const ajv = new Ajv2020({ strict: false, validateFormats: true });
addFormats.default(ajv);
ajv.addSchema({ ...document, $id: 'openapi' }, 'openapi', undefined, false);

function validatorAt(...path: string[]) {
  const pointer = path.map((step) => step.replaceAll('~', '~0').replaceAll('/', '~1')).join('/');
  return ajv.compile({ $ref: `openapi#/${encodeURI(pointer)}` });
}

describe('openapi.yaml', () => {
  test('is what the contract generates', async () => {
    const root = new URL('../../', import.meta.url);
    const { version } = JSON.parse(await readFile(new URL('package.json', root), 'utf8'));
    const committed = await readFile(new URL('openapi.yaml', root), 'utf8').catch(() => '');
    // Compared as one fact, not as a diff of thousands of lines.
    expect(committed === renderOpenApiYaml(version), 'stale: run `npm run openapi`').toBe(true);
  });

  test('is the same on every run', () => {
    expect(JSON.stringify(buildOpenApiDocument('1.2.3'))).toBe(JSON.stringify(document));
  });
});

describe('the document', () => {
  test('lists every route and the watch socket, each under an operationId of its own', () => {
    const expected = [...ROUTES.map((route) => route.operationId), 'watchBoard'].sort();
    expect(operations.map(({ operation }) => operation['operationId']).sort()).toEqual(expected);
    expect(new Set(expected).size).toBe(expected.length);
  });

  test('has no reference that leads nowhere', () => {
    const references = [...nodesOf(document)]
      .map((node) => node['$ref'])
      .filter((ref) => typeof ref === 'string');
    expect(references.length).toBeGreaterThan(100);
    expect(references.filter((reference) => resolve(reference) === undefined)).toEqual([]);
  });

  test('has no component that nothing refers to', () => {
    const references = new Set([...nodesOf(document)].map((node) => node['$ref']));
    const unused = ['schemas', 'responses', 'parameters', 'headers'].flatMap((kind) =>
      Object.keys(document.components[kind] ?? {})
        .map((name) => `#/components/${kind}/${name}`)
        .filter((reference) => !references.has(reference)),
    );
    expect(unused).toEqual([]);
  });

  test('declares exactly the parameters that its paths name', () => {
    for (const { path, operation } of operations) {
      const inPath = parametersOf(operation).filter((parameter) => parameter['in'] === 'path');
      const named = [...path.matchAll(/\{(\w+)\}/g)].map((match) => match[1]);
      expect(inPath.map((parameter) => parameter['name']).sort(), path).toEqual(named.sort());
      expect(
        inPath.every((parameter) => parameter['required'] === true),
        path,
      ).toBe(true);
    }
  });

  test('describes every tag that it uses', () => {
    const described = new Set(document.tags.map((tag) => tag.name));
    const used = new Set(operations.flatMap(({ operation }) => operation['tags'] as string[]));
    expect(used).toEqual(described);
  });

  test('documents the limit of a page as the bounds that are enforced', () => {
    for (const route of ROUTES) {
      const schema = route.query?.shape['limit'];
      if (schema === undefined || schema === null) continue;
      const operation = document.paths[route.path]?.[route.method] ?? {};
      const limits = parametersOf(operation).filter((parameter) => parameter['name'] === 'limit');
      expect(limits).toHaveLength(1);
      const [{ minimum, maximum } = { minimum: 0, maximum: 0 }] = limits.map(
        (limit) => limit['schema'] as { minimum: number; maximum: number },
      );
      const accepts = (rows: number) => route.query?.safeParse({ limit: String(rows) }).success;
      const around = [minimum - 1, minimum, maximum, maximum + 1].map(accepts);
      expect(around, route.operationId).toEqual([false, true, true, false]);
    }
  });

  test('lists every problem of a route under its status', () => {
    for (const route of ROUTES) {
      const found = responsesOf(document.paths[route.path]?.[route.method] ?? {}).flatMap(
        ([status, response]) =>
          [...nodesOf(response)].flatMap((node) => {
            const codes = (node['code'] as JsonObject | undefined)?.['enum'] as
              | (keyof typeof PROBLEMS)[]
              | undefined;
            return (codes ?? []).map((code) => [code, Number(status)] as const);
          }),
      );
      for (const [code, status] of found) expect(status, code).toBe(PROBLEMS[code].status);
      const shared = route.access === 'open' ? ['internal'] : SHARED_PROBLEMS;
      const codes = found.map(([code]) => code);
      expect(codes, route.operationId).toEqual(expect.arrayContaining([...shared, ...route.problems]));
    }
  });

  test('asks for a credential on every route that is not open', () => {
    const withoutCredential = operations.filter(
      ({ operation }) => JSON.stringify(operation['security']) === '[]',
    );
    const open = ROUTES.filter(
      (route) =>
        route.access === 'open' && (!route.problems.includes('unauthenticated') || route.isCredentialInBody),
    );
    expect(document.security).toEqual([{ bearer: [] }]);
    expect(withoutCredential.map(({ operation }) => operation['operationId'])).toEqual(
      open.map((r) => r.operationId),
    );
  });
});

describe('document and zod agree', () => {
  const bodies = ROUTES.flatMap((route) => (route.body ? [{ route, body: route.body }] : []));
  test.each(bodies.map((entry) => [entry.route.operationId, entry] as const))(
    'on the body of %s',
    (_, { route, body }) => {
      const place = [
        'paths',
        route.path,
        route.method,
        'requestBody',
        'content',
        'application/json',
        'schema',
      ];
      const sample = sampleOf(
        place.reduce<unknown>((node, step) => (node as JsonObject)[step], document),
        document,
      );
      const validate = validatorAt(...place);
      expect(validate(sample), JSON.stringify(validate.errors)).toBe(true);
      expect(body.safeParse(sample).error).toBeUndefined();
      const withUnknownField = { ...(sample as object), surprise: 1 };
      expect([validate(withUnknownField), body.safeParse(withUnknownField).success]).toEqual([false, false]);
    },
  );

  const answers = ROUTES.flatMap((route) =>
    Object.entries(route.responses).flatMap(([status, schema]) =>
      schema ? [{ route, status, schema }] : [],
    ),
  );
  test.each(answers.map((entry) => [entry.route.operationId, entry.status, entry] as const))(
    'on the answer of %s with %s, which may grow',
    (_, status, { route, schema }) => {
      const place = [
        'paths',
        route.path,
        route.method,
        'responses',
        status,
        'content',
        'application/json',
        'schema',
      ];
      const sample = sampleOf(
        place.reduce<unknown>((node, step) => (node as JsonObject)[step], document),
        document,
      );
      const validate = validatorAt(...place);
      for (const answer of [sample, { ...(sample as object), surprise: 1 }]) {
        expect(validate(answer), JSON.stringify(validate.errors)).toBe(true);
        expect(schema.safeParse(answer).error).toBeUndefined();
      }
      expect(validate({})).toBe(schema.safeParse({}).success);
    },
  );

  test('on problems: each status takes its own codes only', () => {
    for (const name of Object.keys(document.components['responses'] ?? {})) {
      const validate = validatorAt(
        'components',
        'responses',
        name,
        'content',
        'application/problem+json',
        'schema',
      );
      const accepted = Object.entries(PROBLEMS).filter(([code, { status, title }]) =>
        validate({
          type: `https://lanekeeper.dev/errors/${code}`,
          title,
          status,
          detail: '',
          instance: '',
          code,
        }),
      );
      const named = accepted.map(([code]) => code.replaceAll('_', '')).sort();
      expect(named.join('or')).toBe(name.toLowerCase());
    }
  });
});
