import { describe, expect, test } from 'vitest';
import { z } from 'zod';
import { ClientFrame, ServerFrame } from '../../src/contract/frames.ts';
import { buildOpenApiDocument } from '../../src/contract/openapi.ts';
import type { JsonObject } from '../../src/contract/openapi-components.ts';
import { ROUTES } from '../../src/contract/routes.ts';

const document = buildOpenApiDocument('1.2.3');
const frames = [ClientFrame, ServerFrame].map((frame) => z.toJSONSchema(frame, { io: 'input' }));

interface Field {
  readonly name: string;
  readonly schema: JsonObject;
  readonly isRequired: boolean;
}

/** Every field of every object that a node describes. */
function fieldsOf(node: unknown): Field[] {
  if (typeof node !== 'object' || node === null) return [];
  const { properties, required } = node as JsonObject;
  const requiredNames = Array.isArray(required) ? required : [];
  const own = Object.entries((properties ?? {}) as Record<string, JsonObject>).map(([name, schema]) => ({
    name,
    schema,
    isRequired: requiredNames.includes(name),
  }));
  return [...own, ...Object.values(node).flatMap(fieldsOf)];
}

const fields = fieldsOf([document.paths, document.components, frames]);

/** A Timestamp or a nullable one, not an object or list that holds some. */
const isTimestamp = (schema: JsonObject): boolean =>
  [schema, ...((schema['anyOf'] ?? []) as JsonObject[])].some((choice) =>
    String(choice['$ref']).endsWith('/Timestamp'),
  );

/** A number or a nullable one. */
const isNumber = (schema: JsonObject): boolean =>
  [schema, ...((schema['anyOf'] ?? []) as JsonObject[])].some((choice) =>
    [choice['type']].flat().some((type) => type === 'integer' || type === 'number'),
  );

/** Times whose word is not `at`: what began then, and the moment from which a new signing key is used. */
const OTHER_TIMES = ['status_since', 'since', 'signs_from'];
/** The only duration that is not in seconds: pinned by the watch protocol. */
const OTHER_DURATIONS = ['reconnect_after_ms'];

describe('fields on the wire', () => {
  test('are in snake_case', () => {
    expect(fields.length).toBeGreaterThan(300);
    expect(
      fields.map(({ name }) => name).filter((name) => !/^[a-z][a-z0-9]*(_[a-z0-9]+)*$/.test(name)),
    ).toEqual([]);
  });

  test('that are times are named at or …_at, and those alone', () => {
    const wronglyNamed = fields.filter(
      ({ name, schema }) => isTimestamp(schema) !== /^(at|.*_at)$/.test(name),
    );
    expect(wronglyNamed.map(({ name }) => name).filter((name) => !OTHER_TIMES.includes(name))).toEqual([]);
  });

  test('that are durations are numbers named …_seconds', () => {
    const named = fields.filter(({ name }) =>
      /_(ms|millis|seconds?|minutes?|hours?|ttl|timeout|interval|duration)(_|$)/.test(name),
    );
    const wrong = named.filter(({ name, schema }) => !name.endsWith('_seconds') || !isNumber(schema));
    expect(wrong.map(({ name }) => name).filter((name) => !OTHER_DURATIONS.includes(name))).toEqual([]);
  });

  test('that name a lane, a task, a run or a board are checked as such, and not as any text', () => {
    const named = fields.filter(({ name }) => /^(lane|board|task_id|run_id)$/.test(name));
    expect(
      named.filter(({ schema }) => !JSON.stringify(schema).includes('$ref')).map(({ name }) => name),
    ).toEqual([]);
  });
});

describe('path and query parameters', () => {
  test('are in snake_case', () => {
    const names = ROUTES.flatMap((route) => Object.keys({ ...route.params?.shape, ...route.query?.shape }));
    expect(names.filter((name) => !/^[a-z]+(_[a-z]+)*$/.test(name))).toEqual([]);
  });
});

describe('request bodies', () => {
  /** The schema of a body with every component that it uses put in its place. */
  function expanded(node: unknown): unknown {
    if (typeof node !== 'object' || node === null) return node;
    if (Array.isArray(node)) return node.map(expanded);
    const { $ref, ...rest } = node as JsonObject;
    const entries = Object.entries(rest).map(([key, value]) => [key, expanded(value)] as const);
    if (typeof $ref !== 'string') return Object.fromEntries(entries);
    const target = expanded(document.components['schemas']?.[$ref.replace(/.*\//, '')]) as JsonObject;
    return { ...target, ...Object.fromEntries(entries) };
  }

  function objectsOf(node: unknown): JsonObject[] {
    if (typeof node !== 'object' || node === null) return [];
    const own = !Array.isArray(node) && 'properties' in node ? [node as JsonObject] : [];
    return [...own, ...Object.values(node).flatMap(objectsOf)];
  }

  function acceptsNull(schema: JsonObject): boolean {
    const choices = (schema['anyOf'] ?? schema['oneOf'] ?? []) as JsonObject[];
    if (choices.some(acceptsNull)) return true;
    const types = [schema['type'] ?? []].flat();
    return types.length === 0 ? choices.length === 0 && !('enum' in schema) : types.includes('null');
  }

  const bodies = ROUTES.flatMap((route) => (route.body ? [[route.operationId, route] as const] : []));

  test.each(bodies)('of %s refuse unknown fields at every depth', (_, route) => {
    const body = document.paths[route.path]?.[route.method]?.['requestBody'];
    const open = objectsOf(expanded(body)).filter((schema) => schema['additionalProperties'] !== false);
    expect(open).toEqual([]);
  });

  test.each(bodies.filter(([, route]) => route.method !== 'patch'))(
    'of %s read null as absent',
    (_, route) => {
      const body = expanded(document.paths[route.path]?.[route.method]?.['requestBody']);
      const optional = fieldsOf(body).filter((field) => !field.isRequired);
      expect(optional.filter(({ schema }) => !acceptsNull(schema)).map(({ name }) => name)).toEqual([]);
    },
  );

  test('of watch frames read null as absent and refuse unknown fields', () => {
    const [client] = frames;
    const optional = fieldsOf(client).filter((field) => !field.isRequired);
    expect(optional.filter(({ schema }) => !acceptsNull(schema)).map(({ name }) => name)).toEqual([]);
    expect(objectsOf(client).every((schema) => schema['additionalProperties'] === false)).toBe(true);
  });
});
