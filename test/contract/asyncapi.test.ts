import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { Ajv } from 'ajv';
import { Ajv2020 } from 'ajv/dist/2020.js';
import addFormats from 'ajv-formats';
import { describe, expect, test } from 'vitest';
import { renderAsyncApiYaml } from '../../scripts/write-openapi.ts';
import { buildAsyncApiDocument } from '../../src/contract/asyncapi.ts';
import { Event } from '../../src/contract/events.ts';
import { CLIENT_FRAME_WORDS, EVENT_EXAMPLE, SERVER_FRAME_WORDS } from '../../src/contract/frame-words.ts';
import { ClientFrame, ServerFrame } from '../../src/contract/frames.ts';
import type { JsonObject } from '../../src/contract/openapi-components.ts';

const document = buildAsyncApiDocument('1.2.3');
const messages = document.components['messages'] ?? {};

function* nodesOf(node: unknown): Generator<JsonObject> {
  if (typeof node !== 'object' || node === null) return;
  if (!Array.isArray(node)) yield node as JsonObject;
  for (const child of Object.values(node)) yield* nodesOf(child);
}

function resolve(pointer: string): unknown {
  return pointer
    .slice(2)
    .split('/')
    .reduce<unknown>(
      (node, step) => (node as JsonObject | undefined)?.[step.replaceAll('~1', '/')],
      document,
    );
}

describe('asyncapi.yaml', () => {
  test('is what the contract generates', async () => {
    const root = new URL('../../', import.meta.url);
    const { version } = JSON.parse(await readFile(new URL('package.json', root), 'utf8'));
    const committed = await readFile(new URL('asyncapi.yaml', root), 'utf8').catch(() => '');
    expect(committed === renderAsyncApiYaml(version), 'stale: run `npm run openapi`').toBe(true);
  });

  test('is valid by the schema that the AsyncAPI Initiative publishes for 3.0', async () => {
    const require = createRequire(import.meta.url);
    const path = require.resolve('@asyncapi/specs/schemas/3.0.0.json');
    // The file brings the meta schema that ajv would bring, too.
    const ajv = new Ajv({ strict: false, meta: false, validateSchema: false, validateFormats: false });
    const validate = ajv.compile(JSON.parse(await readFile(path, 'utf8')));
    expect(validate(document) ? [] : validate.errors?.slice(0, 5)).toEqual([]);
    // The same check does find what is wrong.
    expect(validate({ ...document, channels: { watch: { adress: '/' } } })).toBe(false);
  });

  test('has no reference that leads nowhere, and no component that nothing refers to', () => {
    const references = [...nodesOf(document)]
      .map((node) => node['$ref'])
      .filter((ref) => typeof ref === 'string');
    expect(references.length).toBeGreaterThan(100);
    expect(references.filter((reference) => resolve(reference) === undefined)).toEqual([]);
    const known = new Set(references);
    const components = ['schemas', 'messages', 'securitySchemes'].flatMap((kind) =>
      Object.keys(document.components[kind] ?? {}).map((name) => `#/components/${kind}/${name}`),
    );
    // Every answer may be a problem, which names the schema of problems first (OpenApiComponents).
    expect(components.filter((reference) => !known.has(reference))).toEqual([]);
  });
});

describe('the frames of the contract', () => {
  const frames = [
    ...ClientFrame.options.map((schema) => ({ side: 'client', action: 'receive', schema })),
    ...ServerFrame.options.map((schema) => ({ side: 'server', action: 'send', schema })),
  ].map((frame) => ({ ...frame, type: frame.schema.shape.type.value }));

  test('are all in the document, and nothing else but the events of the stream', () => {
    const expected = frames.map(({ side, type }) => `${side}.${type}`);
    expect(Object.keys(messages).sort()).toEqual([...expected, 'event'].sort());
  });

  test('are each received or sent by an operation of every channel that has them', () => {
    for (const { side, type, action } of frames) {
      const key = `${side}.${type}`;
      const channels = Object.keys(document.channels).filter(
        (name) => key in ((document.channels[name]?.['messages'] ?? {}) as JsonObject),
      );
      expect(channels.length, key).toBeGreaterThan(0);
      for (const channel of channels) {
        const operation = document.operations[`${channel}.${key}`];
        expect(operation, key).toMatchObject({
          action,
          messages: [{ $ref: `#/channels/${channel}/messages/${key}` }],
        });
      }
    }
  });

  test('are answered on the channel that they came on', () => {
    for (const [name, operation] of Object.entries(document.operations)) {
      const { reply } = operation as { reply?: { messages: { $ref: string }[] } };
      const missing = (reply?.messages ?? []).filter(({ $ref }) => resolve($ref) === undefined);
      expect(missing, name).toEqual([]);
    }
  });

  test('have examples that the contract takes, and so does the schema in the document', () => {
    const ajv = new Ajv2020({ strict: false });
    addFormats.default(ajv);
    ajv.addSchema({ $id: 'asyncapi', components: document.components }, 'asyncapi', undefined, false);
    const words: Record<string, Record<string, { example: unknown }>> = {
      client: CLIENT_FRAME_WORDS,
      server: SERVER_FRAME_WORDS,
    };
    for (const { side, type, schema } of frames) {
      const example = words[side]?.[type]?.example;
      expect(schema.safeParse(example).error, `${side}.${type}`).toBeUndefined();
      expect(messages[`${side}.${type}`]?.['examples']).toEqual([{ name: type, payload: example }]);
      const validate = ajv.compile({ $ref: `asyncapi#/components/messages/${side}.${type}/payload` });
      expect(validate(example), `${side}.${type}: ${JSON.stringify(validate.errors)}`).toBe(true);
      expect(validate({ ...(example as object), type: 'surprise' })).toBe(false);
    }
    expect(Event.safeParse(EVENT_EXAMPLE).error).toBeUndefined();
    expect(messages['event']?.['examples']).toEqual([{ name: 'event', payload: EVENT_EXAMPLE }]);
  });
});
