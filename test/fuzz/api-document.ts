/** openapi.yaml as a client reads it: its operations with every reference followed, and nothing of the source that it was made from. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parse } from 'yaml';

export type Node = { readonly [key: string]: unknown };

export interface Parameter {
  readonly name: string;
  readonly in: 'path' | 'query' | 'header';
  readonly required: boolean;
  readonly schema: Node;
}

export interface Operation {
  readonly id: string;
  readonly method: string;
  readonly path: string;
  /** Of the paths that it may be asked by. */
  readonly pattern: RegExp;
  readonly parameters: readonly Parameter[];
  /** Schema of the JSON body; null: it takes none. */
  readonly body: Node | null;
  readonly isBodyRequired: boolean;
  /** Status → response, as the document has it. */
  readonly responses: Readonly<Record<string, Node>>;
}

export interface ApiDocument {
  readonly root: Node;
  readonly operations: readonly Operation[];
}

const ROOT_DIRECTORY = join(import.meta.dirname, '../..');

export function readApiDocument(): ApiDocument {
  const root = parse(readFileSync(join(ROOT_DIRECTORY, 'openapi.yaml'), 'utf8')) as Node;
  const operations = Object.entries(root['paths'] as Record<string, Record<string, Node>>).flatMap(
    ([path, methods]) =>
      Object.entries(methods).map(([method, operation]) => readOperation(root, path, method, operation)),
  );
  return { root, operations };
}

function readOperation(root: Node, path: string, method: string, operation: Node): Operation {
  const requestBody = operation['requestBody'] as Node | undefined;
  const responses = operation['responses'] as Record<string, Node>;
  return {
    id: String(operation['operationId']),
    method: method.toUpperCase(),
    path,
    pattern: new RegExp(`^${path.replaceAll('.', '\\.').replaceAll(/\{\w+\}/g, '[^/]+')}$`),
    parameters: ((operation['parameters'] ?? []) as Node[]).map((entry) => {
      const parameter = resolve(root, entry);
      return { ...parameter, required: parameter['required'] === true } as unknown as Parameter;
    }),
    body: requestBody === undefined ? null : jsonSchemaOf(requestBody),
    isBodyRequired: requestBody?.['required'] === true,
    responses: Object.fromEntries(
      Object.entries(responses).map(([status, response]) => [status, readResponse(root, response)]),
    ),
  };
}

function readResponse(root: Node, response: Node): Node {
  const found = resolve(root, response);
  const headers = Object.entries((found['headers'] ?? {}) as Record<string, Node>);
  return {
    ...found,
    headers: Object.fromEntries(headers.map(([name, header]) => [name, resolve(root, header)])),
  };
}

function jsonSchemaOf(requestBody: Node): Node {
  const content = requestBody['content'] as Record<string, { readonly schema: Node }>;
  const json = content['application/json'];
  if (json === undefined) throw new Error('a request body that is not JSON: teach the fuzz to make it');
  return json.schema;
}

/** Follows `#/a/b` as often as it takes. */
export function resolve(root: Node, node: Node): Node {
  const { $ref } = node;
  if (typeof $ref !== 'string') return node;
  const target = $ref
    .slice(2)
    .split('/')
    .reduce<unknown>((at, step) => (at as Node | undefined)?.[step.replaceAll('~1', '/')], root);
  if (target === undefined) throw new Error(`${$ref} leads nowhere`);
  return resolve(root, target as Node);
}
