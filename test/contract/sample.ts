/**
 * The smallest value that a schema of the OpenAPI document allows: required fields only. Enough to ask of each schema
 * whether the document and zod agree. Patterns cannot be run backwards, so the named ones have an example here.
 */
import type { OpenApiDocument } from '../../src/contract/openapi.ts';
import type { JsonObject } from '../../src/contract/openapi-components.ts';

const ID_SUFFIX = '01jcqk0v3te8sr3x6y9m2b4n5p';

const NAMED: Readonly<Record<string, unknown>> = {
  BoardName: 'default',
  LaneName: 'factory',
  WorkerName: 'worker-1',
  ExternalRef: 'PROJ-12',
  Timestamp: '2026-01-05T10:00:00.000Z',
  TaskId: `task_${ID_SUFFIX}`,
  RunId: `run_${ID_SUFFIX}`,
  KeyId: `key_${ID_SUFFIX}`,
  CommentId: `cmt_${ID_SUFFIX}`,
  MessageId: `msg_${ID_SUFFIX}`,
  OperationId: `op_${ID_SUFFIX}`,
  DelegationId: `deleg_${ID_SUFFIX}`,
  SubscriptionId: `sub_${ID_SUFFIX}`,
  DeliveryId: `dlv_${ID_SUFFIX}`,
  // Which tasks are meant is said in one of two ways.
  BulkBody: { action: 'promote', ids: ['PROJ-12'] },
  // So is whom a subscription is to, what a child is to do, and why a delivery comes back.
  PutSubscriptionBody: { task_id: 'PROJ-12', platform: 'discord' },
  DelegatedTaskBody: { title: 'x' },
  NackDeliveryBody: { lease_id: 'x', error: 'x' },
};

export function sampleOf(node: unknown, document: OpenApiDocument): unknown {
  const schema = node as JsonObject;
  if (typeof schema['$ref'] === 'string') {
    const name = schema['$ref'].replace('#/components/schemas/', '');
    return NAMED[name] ?? sampleOf(document.components['schemas']?.[name], document);
  }
  if ('const' in schema) return schema['const'];
  if (Array.isArray(schema['enum'])) return schema['enum'][0];
  const choices = schema['oneOf'] ?? schema['anyOf'];
  if (Array.isArray(choices)) return sampleOf(choices[0], document);
  return sampleOfType(schema, document);
}

function sampleOfType(schema: JsonObject, document: OpenApiDocument): unknown {
  const type = Array.isArray(schema['type']) ? schema['type'][0] : schema['type'];
  switch (type) {
    case 'object': {
      const fields = (schema['properties'] ?? {}) as JsonObject;
      const required = (schema['required'] ?? []) as string[];
      return Object.fromEntries(required.map((name) => [name, sampleOf(fields[name], document)]));
    }
    case 'array':
      return Array.from({ length: Number(schema['minItems'] ?? 0) }, () =>
        sampleOf(schema['items'], document),
      );
    case 'string':
      return schema['format'] === 'uri'
        ? 'https://example.com/'
        : 'x'.repeat(Number(schema['minLength'] ?? 1));
    case 'integer':
    case 'number':
      return Math.max(1, Number(schema['minimum'] ?? 1));
    case 'boolean':
      return true;
    default:
      return null;
  }
}
