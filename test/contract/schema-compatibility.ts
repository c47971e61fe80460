/**
 * Whether a client that was written against one JSON schema gets along with another. What is sent may only be allowed more, what is answered
 * may only say more. Small and our own: the libraries that do this are programs in other languages, or no longer kept.
 */
import type { JsonObject } from '../../src/contract/openapi-components.ts';

/** request: the client writes it; answer: the client reads it. */
export type Direction = 'request' | 'answer';

/** The two sides of a comparison, each with the document that its references point into. */
export interface Comparison {
  readonly direction: Direction;
  readonly before: unknown;
  readonly after: unknown;
  readonly report: (at: string, what: string) => void;
  /** Pairs that are being compared already: schemas may contain themselves. */
  readonly seen: Set<string>;
}

const UPPER_LIMITS = ['maximum', 'exclusiveMaximum', 'maxLength', 'maxItems', 'maxProperties'];
const LOWER_LIMITS = ['minimum', 'exclusiveMinimum', 'minLength', 'minItems', 'minProperties'];

const isObject = (value: unknown): value is JsonObject =>
  typeof value === 'object' && value !== null && !Array.isArray(value);
const listOf = (value: unknown): unknown[] => (Array.isArray(value) ? value : []);
const fieldsOf = (value: unknown): JsonObject => (isObject(value) ? value : {});

/** Follows a reference (RFC 6901) within its document. */
export function resolved(node: unknown, root: unknown): JsonObject {
  const ref = fieldsOf(node)['$ref'];
  if (typeof ref !== 'string') return fieldsOf(node);
  const steps = ref.slice(2).split('/');
  const target = steps.reduce<unknown>(
    (place, step) => fieldsOf(place)[step.replaceAll('~1', '/').replaceAll('~0', '~')],
    root,
  );
  return resolved(target, root);
}

/** The kinds of value that a schema allows, by what tells them apart: their JSON type, or the constant in `type` or `status`. */
function variantsOf(node: unknown, root: unknown): Map<string, JsonObject> {
  const found = new Map<string, JsonObject>();
  for (const variant of flattened(node, root)) {
    const name = nameOf(variant, root);
    let key = name;
    for (let number = 2; found.has(key); number += 1) key = `${name} ${number}`;
    found.set(key, variant);
  }
  return found;
}

function flattened(node: unknown, root: unknown): JsonObject[] {
  const schema = merged(resolved(node, root), root);
  const choices = listOf(schema['anyOf'] ?? schema['oneOf']);
  if (choices.length > 0) return choices.flatMap((choice) => flattened(choice, root));
  const types = schema['type'];
  return Array.isArray(types) ? types.map((type) => ({ ...schema, type })) : [schema];
}

/** `allOf` as one object: only its fields matter here. */
function merged(schema: JsonObject, root: unknown): JsonObject {
  const parts = [schema, ...listOf(schema['allOf']).map((part) => merged(resolved(part, root), root))];
  if (parts.length === 1) return schema;
  return {
    ...Object.fromEntries(parts.flatMap((part) => Object.entries(part))),
    properties: Object.fromEntries(parts.flatMap((part) => Object.entries(fieldsOf(part['properties'])))),
    required: parts.flatMap((part) => listOf(part['required'])),
  };
}

function nameOf(variant: JsonObject, root: unknown): string {
  const { type, status } = fieldsOf(variant['properties']);
  const tag = resolved(type, root)['const'] ?? resolved(status, root)['const'];
  if (tag !== undefined) return `of type ${String(tag)}`;
  return String(variant['type'] ?? typeof (variant['const'] ?? listOf(variant['enum'])[0] ?? {}));
}

export function compareSchemas(before: unknown, after: unknown, at: string, comparison: Comparison): void {
  const pair = [fieldsOf(before)['$ref'], fieldsOf(after)['$ref'], comparison.direction].join(' ');
  if (typeof fieldsOf(before)['$ref'] === 'string') {
    if (comparison.seen.has(pair)) return;
    comparison.seen.add(pair);
  }
  const old = variantsOf(before, comparison.before);
  const now = variantsOf(after, comparison.after);
  for (const [name, variant] of old) {
    const other = now.get(name);
    if (other === undefined) comparison.report(at, `is no longer ${name}`);
    else compareVariants(variant, other, at, comparison);
  }
  if (comparison.direction === 'request') return;
  // A new frame is passed over by clients; a new kind of value in an old place is not.
  const added = [...now.keys()].filter((name) => !old.has(name) && !name.startsWith('of type '));
  for (const name of added) comparison.report(at, `may be ${name} now`);
}

function compareVariants(before: JsonObject, after: JsonObject, at: string, comparison: Comparison): void {
  compareValues(before, after, at, comparison);
  if (comparison.direction === 'request') compareLimits(before, after, at, comparison);
  for (const word of ['format', ...(comparison.direction === 'request' ? ['pattern'] : [])]) {
    const isSame = before[word] === after[word];
    if (!isSame && (comparison.direction === 'answer' || after[word] !== undefined))
      comparison.report(at, `has another ${word}`);
  }
  compareFields(before, after, at, comparison);
  for (const word of ['items', 'additionalProperties', 'propertyNames']) {
    const [old, now] = [before[word], after[word]];
    if (isObject(old) && isObject(now)) compareSchemas(old, now, `${at}[]`, comparison);
    else if (comparison.direction === 'request' && old !== false && (now === false || isObject(now)))
      comparison.report(at, `has ${word} now`);
    else if (comparison.direction === 'answer' && isObject(old))
      comparison.report(at, `has no ${word} any more`);
  }
}

function valuesOf(schema: JsonObject): unknown[] | null {
  if ('const' in schema) return [schema['const']];
  return 'enum' in schema ? listOf(schema['enum']) : null;
}

function compareValues(before: JsonObject, after: JsonObject, at: string, comparison: Comparison): void {
  const [old, now] = [valuesOf(before), valuesOf(after)];
  if (old === null && now !== null && comparison.direction === 'request')
    comparison.report(at, 'takes some values only');
  if (old !== null && now === null && comparison.direction === 'answer')
    comparison.report(at, 'may have any value now');
  if (old === null || now === null) return;
  for (const value of old)
    if (!now.includes(value)) comparison.report(at, `lost the value ${JSON.stringify(value)}`);
}

function compareLimits(before: JsonObject, after: JsonObject, at: string, comparison: Comparison): void {
  const isNarrower = (word: string, sign: number): boolean => {
    const [old, now] = [before[word], after[word]];
    return typeof now === 'number' && (typeof old !== 'number' || (now - old) * sign < 0);
  };
  for (const word of UPPER_LIMITS) if (isNarrower(word, 1)) comparison.report(at, `has a lower ${word}`);
  for (const word of LOWER_LIMITS) if (isNarrower(word, -1)) comparison.report(at, `has a higher ${word}`);
}

function compareFields(before: JsonObject, after: JsonObject, at: string, comparison: Comparison): void {
  const [old, now] = [fieldsOf(before['properties']), fieldsOf(after['properties'])];
  for (const [name, schema] of Object.entries(old)) {
    if (name in now) compareSchemas(schema, now[name], `${at}.${name}`, comparison);
    else comparison.report(`${at}.${name}`, 'is gone');
  }
  const [mustBefore, mustAfter] = [listOf(before['required']), listOf(after['required'])];
  const broken =
    comparison.direction === 'request'
      ? mustAfter.filter((name) => !mustBefore.includes(name))
      : mustBefore.filter((name) => !mustAfter.includes(name) && String(name) in now);
  const what = comparison.direction === 'request' ? 'is required now' : 'may be missing now';
  for (const name of broken) comparison.report(`${at}.${String(name)}`, what);
}
