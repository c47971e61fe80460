/** Clients of every released version get along with this one: its wire is held against what was written down at each release. */
import { readdir, readFile } from 'node:fs/promises';
import { describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import { protocolOfNow } from '../../scripts/write-wire-baseline.ts';
import { buildOpenApiDocument } from '../../src/contract/openapi.ts';
import { brokenOperations, brokenProtocol, type Protocol } from './wire-compatibility.ts';

const FOLDER = new URL('released/', import.meta.url);
const WHAT_TO_DO =
  'Clients of a released version depend on this. Add beside it instead, or keep what was there; see "The wire" in CONTRIBUTING.md.';

const read = async (name: string): Promise<unknown> => parse(await readFile(new URL(name, FOLDER), 'utf8'));
const files = await readdir(FOLDER);
const named = (kind: string): string[] => files.filter((name) => name.startsWith(`${kind}-`)).toSorted();

describe('the wire of now', () => {
  test.each(named('openapi'))('has all of %s', async (name) => {
    expect(brokenOperations(await read(name), buildOpenApiDocument('1.2.3')), WHAT_TO_DO).toEqual([]);
  });

  test.each(named('frames'))('has all of %s', async (name) => {
    expect(brokenProtocol((await read(name)) as Protocol, protocolOfNow()), WHAT_TO_DO).toEqual([]);
  });

  test('is held against each release twice', () => {
    expect(named('openapi').length).toBeGreaterThan(0);
    expect(named('openapi').map((name) => name.replace('openapi', 'frames'))).toEqual(named('frames'));
  });
});

/** A small API in which each rule has something to find. */
const API = {
  paths: {
    '/tasks/{id}': {
      post: {
        operationId: 'postTask',
        security: [],
        parameters: [
          { name: 'id', in: 'path', required: true, schema: { type: 'string', maxLength: 64 } },
          { name: 'limit', in: 'query', schema: { type: 'integer', minimum: 1, maximum: 100 } },
        ],
        requestBody: {
          content: { 'application/json': { schema: { $ref: '#/components/schemas/TaskBody' } } },
        },
        responses: {
          200: {
            headers: { ETag: { schema: { type: 'string' } } },
            content: { 'application/json': { schema: { $ref: '#/components/schemas/Task' } } },
          },
          201: { content: { 'application/json': { schema: { type: 'object' } } } },
          409: { content: { 'application/problem+json': { schema: { type: 'object' } } } },
        },
      },
    },
  },
  components: {
    schemas: {
      TaskBody: {
        type: 'object',
        properties: {
          title: { type: 'string', minLength: 1, maxLength: 500 },
          mode: { enum: ['a', 'b'], type: 'string' },
          note: { anyOf: [{ type: 'string' }, { type: 'null' }] },
          tags: { type: 'array', items: { type: 'string' }, maxItems: 9 },
          inner: { type: 'object', properties: { x: { type: 'integer' } }, additionalProperties: true },
        },
        required: ['title'],
        additionalProperties: false,
      },
      Task: {
        type: 'object',
        properties: {
          id: { type: 'string', format: 'uuid' },
          status: { enum: ['ready', 'done'], type: 'string' },
          children: { type: 'array', items: { $ref: '#/components/schemas/Task' } },
          event: {
            oneOf: [
              { type: 'object', properties: { type: { const: 'made' }, at: { type: 'string' } } },
              { type: 'object', properties: { type: { const: 'done' } } },
            ],
          },
        },
        required: ['id', 'status'],
      },
    },
  },
};

// biome-ignore lint/suspicious/noExplicitAny: a document to be broken anywhere.
type Free = any;

interface Parts {
  readonly all: Free;
  readonly operation: Free;
  readonly body: Free;
  readonly task: Free;
}

function changed(change: (parts: Parts) => unknown): string[] {
  const all: Free = structuredClone(API);
  const { TaskBody: body, Task: task } = all.components.schemas;
  change({ all, body, task, operation: all.paths['/tasks/{id}'].post });
  return brokenOperations(API, all);
}

describe('what a client would miss is found:', () => {
  const CHANGES: readonly [string, RegExp, Parameters<typeof changed>[0]][] = [
    ['an operation', /POST .* is gone/, ({ all }) => delete all.paths['/tasks/{id}'].post],
    ['its name', /another operationId/, ({ operation }) => Object.assign(operation, { operationId: 'x' })],
    ['open access', /needs a credential/, ({ operation }) => delete operation.security],
    ['a parameter', /query limit is gone/, ({ operation }) => operation.parameters.pop()],
    [
      'calls without a new parameter',
      /query x is required/,
      ({ operation }) => operation.parameters.push({ name: 'x', in: 'query', required: true, schema: {} }),
    ],
    [
      'calls without an old parameter',
      /query limit is required/,
      ({ operation }) => Object.assign(operation.parameters[1], { required: true }),
    ],
    [
      'high values of a parameter',
      /lower maximum/,
      ({ operation }) => Object.assign(operation.parameters[1].schema, { maximum: 50 }),
    ],
    [
      'low values of a parameter',
      /higher minimum/,
      ({ operation }) => Object.assign(operation.parameters[1].schema, { minimum: 2 }),
    ],
    [
      'calls without a body',
      /body is required/,
      ({ operation }) => Object.assign(operation.requestBody, { required: true }),
    ],
    ['a status', /201 is gone/, ({ operation }) => delete operation.responses[201]],
    ['a header', /header ETag is gone/, ({ operation }) => delete operation.responses[200].headers.ETag],
    [
      'a media type',
      /as application\/json is gone/,
      ({ operation }) => delete operation.responses[200].content['application/json'],
    ],
    ['a field of a request', /body\.note is gone/, ({ body }) => delete body.properties.note],
    ['requests without a field', /body\.mode is required/, ({ body }) => body.required.push('mode')],
    [
      'long texts',
      /title has a lower maxLength/,
      ({ body }) => Object.assign(body.properties.title, { maxLength: 499 }),
    ],
    [
      'any text',
      /title has another pattern/,
      ({ body }) => Object.assign(body.properties.title, { pattern: '^a' }),
    ],
    [
      'any text, by a list',
      /title takes some values only/,
      ({ body }) => Object.assign(body.properties.title, { enum: ['a'] }),
    ],
    [
      'long lists',
      /tags has a lower maxItems/,
      ({ body }) => Object.assign(body.properties.tags, { maxItems: 8 }),
    ],
    [
      'any items of a list',
      /tags\[\] has a higher minLength/,
      ({ body }) => Object.assign(body.properties.tags.items, { minLength: 1 }),
    ],
    ['a value of a request', /mode lost the value "b"/, ({ body }) => body.properties.mode.enum.pop()],
    ['null in a request', /note is no longer null/, ({ body }) => body.properties.note.anyOf.pop()],
    [
      'the type of a request',
      /title is no longer string/,
      ({ body }) => Object.assign(body.properties.title, { type: 'integer' }),
    ],
    [
      'unknown fields of a request',
      /inner has additionalProperties now/,
      ({ body }) => Object.assign(body.properties.inner, { additionalProperties: false }),
    ],
    ['a field of an answer', /200\.id is gone/, ({ task }) => delete task.properties.id],
    ['a field that was always there', /status may be missing/, ({ task }) => task.required.pop()],
    ['a value of an answer', /status lost the value "done"/, ({ task }) => task.properties.status.enum.pop()],
    [
      'a closed list of values',
      /status may have any value/,
      ({ task }) => delete task.properties.status.enum,
    ],
    ['a format', /id has another format/, ({ task }) => delete task.properties.id.format],
    [
      'answers that are never null',
      /id may be null/,
      ({ task }) => Object.assign(task.properties.id, { type: ['string', 'null'] }),
    ],
    [
      'the type of an answer',
      /id is no longer string/,
      ({ task }) => Object.assign(task.properties.id, { type: 'integer' }),
    ],
    [
      'a kind of an answer',
      /event is no longer of type done/,
      ({ task }) => task.properties.event.oneOf.pop(),
    ],
    [
      'a field of a kind',
      /event\.at is gone/,
      ({ task }) => delete task.properties.event.oneOf[0].properties.at,
    ],
    ['the items of a list', /children has no items/, ({ task }) => delete task.properties.children.items],
  ];
  test.each(CHANGES)('%s', (_, line, change) => {
    expect(changed(change)).toContainEqual(expect.stringMatching(line));
  });

  test('but nothing in what only grows', () => {
    const grown = changed(({ all, operation, body, task }) => {
      all.paths['/new'] = { get: { operationId: 'new', responses: {} } };
      operation.parameters.push({ name: 'x', in: 'query', schema: { type: 'string' } });
      operation.parameters[1].schema.maximum = 1000;
      operation.responses[202] = {};
      delete operation.responses[409];
      body.properties.extra = { type: 'string' };
      body.properties.title.maxLength = 1000;
      body.properties.mode.enum.push('c');
      task.properties.more = { type: 'string' };
      task.required.push('more');
      task.properties.status.enum.push('cancelled');
      task.properties.event.oneOf.push({ type: 'object', properties: { type: { const: 'new' } } });
    });
    expect(grown).toEqual([]);
  });
});

describe('what a socket or a switch on a word would miss is found:', () => {
  const now = protocolOfNow();
  const CHANGES: readonly [string, RegExp, (protocol: Free) => unknown][] = [
    [
      'the subprotocol',
      /subprotocol/,
      (protocol) => Object.assign(protocol, { subprotocol: 'lanekeeper.v2' }),
    ],
    ['a close code', /close code drain/, (protocol) => delete protocol.close_codes.drain],
    ['a problem', /problem claim_lost is gone/, (protocol) => delete protocol.problems.claim_lost],
    [
      'what a problem means',
      /problem claim_lost means/,
      (protocol) => Object.assign(protocol.problems.claim_lost, { retryable: true }),
    ],
    [
      'an event',
      /event task.created is gone/,
      (protocol) => protocol.event_kinds.splice(protocol.event_kinds.indexOf('task.created'), 1),
    ],
    [
      'a client frame',
      /client frame is no longer of type/,
      (protocol) => framesOf(protocol.client_frames).shift(),
    ],
    [
      'a server frame',
      /server frame is no longer of type/,
      (protocol) => framesOf(protocol.server_frames).shift(),
    ],
    [
      'a field of a frame',
      /server frame\.\w+ is gone/,
      (protocol) => {
        const [first] = framesOf(protocol.server_frames);
        delete first.properties[Object.keys(first.properties).find((name) => name !== 'type') ?? ''];
      },
    ],
  ];
  const framesOf = (schema: Free): Free[] => schema.oneOf ?? schema.anyOf;

  test.each(CHANGES)('%s', (_, line, change) => {
    const other = structuredClone(now);
    change(other);
    expect(brokenProtocol(now, other)).toContainEqual(expect.stringMatching(line));
  });
});
