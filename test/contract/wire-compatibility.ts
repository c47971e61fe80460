/** What clients of a released version would lose with a later one: one line for each, none when all of it only grew. */
import type { JsonObject } from '../../src/contract/openapi-components.ts';
import { type Comparison, compareSchemas, type Direction, resolved } from './schema-compatibility.ts';

interface Sides {
  readonly before: unknown;
  readonly after: unknown;
  readonly report: (at: string, what: string) => void;
  /** Of all operations together: what a schema has lost is said once. */
  readonly seen: Readonly<Record<Direction, Set<string>>>;
}

const fieldsOf = (value: unknown): JsonObject =>
  typeof value === 'object' && value !== null ? (value as JsonObject) : {};
const entriesOf = (value: unknown): [string, unknown][] => Object.entries(fieldsOf(value));

function comparison(direction: Direction, sides: Sides): Comparison {
  return { ...sides, direction, seen: sides.seen[direction] };
}

/** Two OpenAPI documents. */
export function brokenOperations(before: unknown, after: unknown): string[] {
  const lines: string[] = [];
  const report = (at: string, what: string): void => void lines.push(`${at} ${what}`);
  const sides: Sides = { before, after, report, seen: { request: new Set(), answer: new Set() } };
  const now = fieldsOf(fieldsOf(after)['paths']);
  for (const [path, methods] of entriesOf(fieldsOf(before)['paths'])) {
    for (const [method, operation] of entriesOf(methods)) {
      const at = `${method.toUpperCase()} ${path}`;
      const other = fieldsOf(now[path])[method];
      if (other === undefined) sides.report(at, 'is gone');
      else compareOperations(fieldsOf(operation), fieldsOf(other), at, sides);
    }
  }
  return lines;
}

function compareOperations(before: JsonObject, after: JsonObject, at: string, sides: Sides): void {
  if (before['operationId'] !== after['operationId']) sides.report(at, 'has another operationId');
  if (isOpen(before) && !isOpen(after)) sides.report(at, 'needs a credential now');
  compareParameters(before, after, at, sides);
  compareBodies(fieldsOf(before['requestBody']), fieldsOf(after['requestBody']), at, sides);
  for (const [status, response] of entriesOf(before['responses'])) {
    // Of failures an operation may have fewer; the table of codes is compared by itself.
    if (!status.startsWith('2')) continue;
    const other = fieldsOf(after['responses'])[status];
    if (other === undefined) sides.report(`${at} ${status}`, 'is gone');
    else compareAnswers(response, other, `${at} ${status}`, sides);
  }
}

const isOpen = ({ security }: JsonObject): boolean =>
  Array.isArray(security) && (security.length === 0 || security.some((way) => entriesOf(way).length === 0));

function parametersOf(operation: JsonObject, root: unknown): Map<string, JsonObject> {
  const list = (operation['parameters'] ?? []) as unknown[];
  return new Map(
    list
      .map((entry) => resolved(entry, root))
      .map((parameter) => [`${String(parameter['in'])} ${String(parameter['name'])}`, parameter] as const),
  );
}

function compareParameters(before: JsonObject, after: JsonObject, at: string, sides: Sides): void {
  const [old, now] = [parametersOf(before, sides.before), parametersOf(after, sides.after)];
  for (const [name, parameter] of old) {
    const other = now.get(name);
    if (other === undefined) sides.report(`${at} ${name}`, 'is gone');
    else compareSchemas(parameter['schema'], other['schema'], `${at} ${name}`, comparison('request', sides));
  }
  for (const [name, parameter] of now)
    if (parameter['required'] === true && old.get(name)?.['required'] !== true)
      sides.report(`${at} ${name}`, 'is required now');
}

function compareBodies(before: JsonObject, after: JsonObject, at: string, sides: Sides): void {
  if (after['required'] === true && before['required'] !== true)
    sides.report(`${at} body`, 'is required now');
  compareContents(before, after, `${at} body`, comparison('request', sides));
}

function compareAnswers(before: unknown, after: unknown, at: string, sides: Sides): void {
  const [old, now] = [resolved(before, sides.before), resolved(after, sides.after)];
  for (const [name] of entriesOf(old['headers']))
    if (!(name in fieldsOf(now['headers']))) sides.report(`${at} header ${name}`, 'is gone');
  compareContents(old, now, at, comparison('answer', sides));
}

function compareContents(before: JsonObject, after: JsonObject, at: string, compared: Comparison): void {
  for (const [type, media] of entriesOf(before['content'])) {
    const other = fieldsOf(after['content'])[type];
    if (other === undefined) compared.report(`${at} as ${type}`, 'is gone');
    else compareSchemas(fieldsOf(media)['schema'], fieldsOf(other)['schema'], at, compared);
  }
}

/** What the OpenAPI document does not hold: the frames of the watch socket, and words that clients switch on. */
export interface Protocol {
  readonly subprotocol: string;
  readonly close_codes: Readonly<Record<string, number>>;
  readonly problems: Readonly<Record<string, { readonly status: number; readonly retryable: boolean }>>;
  readonly event_kinds: readonly string[];
  /** JSON schemas. */
  readonly client_frames: unknown;
  readonly server_frames: unknown;
}

export function brokenProtocol(before: Protocol, after: Protocol): string[] {
  const lines: string[] = [];
  const report = (at: string, what: string): void => void lines.push(`${at} ${what}`);
  if (before.subprotocol !== after.subprotocol) report('the subprotocol', 'is another');
  for (const [name, code] of Object.entries(before.close_codes))
    if (after.close_codes[name] !== code) report(`close code ${name}`, 'is gone or another');
  for (const [code, { status, retryable }] of Object.entries(before.problems)) {
    const now = after.problems[code];
    if (now === undefined) report(`problem ${code}`, 'is gone');
    else if (now.status !== status || now.retryable !== retryable)
      report(`problem ${code}`, 'means something else');
  }
  for (const kind of before.event_kinds)
    if (!after.event_kinds.includes(kind)) report(`event ${kind}`, 'is gone');
  const frames = (direction: Direction, old: unknown, now: unknown): void =>
    compareSchemas(old, now, direction === 'request' ? 'client frame' : 'server frame', {
      direction,
      before: old,
      after: now,
      report,
      seen: new Set(),
    });
  frames('request', before.client_frames, after.client_frames);
  frames('answer', before.server_frames, after.server_frames);
  return lines;
}
