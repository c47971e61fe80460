/**
 * Holds an answer against openapi.yaml: its status is declared, its media type too, its body has the declared shape and nothing that is
 * not declared, and the headers that are always there are there. Schemas are compiled once.
 */
import { Ajv2020, type ValidateFunction } from 'ajv/dist/2020.js';
import addFormats from 'ajv-formats';
import type { ApiDocument, Node, Operation } from './api-document.ts';
import type { HttpAnswer, HttpRequest } from './sender.ts';

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;
const PROBLEM = 'application/problem+json';

/** Answers that are documents of somebody else's format, which may hold more than ours says of them. */
const FOREIGN_FORMATS = new Set(['openapiDocument', 'asyncapiDocument', 'jwks']);

export class AnswerCheck {
  readonly #answers = new Map<string, ValidateFunction>();
  readonly #bodies = new Map<string, ValidateFunction>();
  readonly #operations: ReadonlyMap<string, Operation>;

  constructor({ root, operations }: ApiDocument) {
    this.#operations = new Map(operations.map((operation) => [operation.id, operation]));
    const exact = makeAjv('exact', closed(root) as Node);
    const asWritten = makeAjv('written', root);
    for (const operation of operations) {
      for (const [status, response] of Object.entries(operation.responses)) {
        for (const [mediaType, { schema }] of Object.entries(contentOf(response))) {
          if (!/json/.test(mediaType)) continue;
          const isForeign = FOREIGN_FORMATS.has(operation.id);
          const own = isForeign
            ? asWritten.compile(inDocument('written', schema))
            : exact.compile(inDocument('exact', closedAnswer(schema)));
          this.#answers.set(`${operation.id} ${status} ${mediaType}`, own);
        }
      }
      if (operation.body)
        this.#bodies.set(operation.id, asWritten.compile(inDocument('written', operation.body)));
    }
  }

  /** Whether the document refuses this body: then the server must, too. */
  refusesBody(operationId: string, body: unknown): boolean {
    return this.#bodies.get(operationId)?.(body) === false;
  }

  /** What is wrong with the answer; null: nothing. `operationId` null: of an address that the document does not have. */
  complaint(operationId: string | null, sent: HttpRequest, answer: HttpAnswer): string | null {
    if (answer.status >= 500) return `answered ${answer.status}`;
    const operation = operationId === null ? undefined : this.#operations.get(operationId);
    const mediaType = String(answer.headers['content-type'] ?? '').split(';', 1)[0] ?? '';
    if (operation === undefined) return this.#elsewhere(answer, mediaType);
    const response = operation.responses[answer.status];
    if (response === undefined) return `status ${answer.status} is not declared`;
    return (
      missingHeader(response, answer) ??
      wrongRequestId(sent, answer) ??
      this.#wrongBody(operation, response, answer, mediaType)
    );
  }

  /** Nothing but a problem may be there. */
  #elsewhere(answer: HttpAnswer, mediaType: string): string | null {
    if (answer.status !== 404 && answer.status !== 405)
      return `answered ${answer.status} where nothing is declared`;
    if (mediaType !== PROBLEM) return `answered ${answer.status} as ${mediaType}`;
    return wrongInstance(answer);
  }

  #wrongBody(operation: Operation, response: Node, answer: HttpAnswer, mediaType: string): string | null {
    const content = contentOf(response);
    if (Object.keys(content).length === 0) return answer.text === '' ? null : 'a body where none is declared';
    if (!(mediaType in content))
      return `media type ${JSON.stringify(mediaType)} is not declared for ${answer.status}`;
    const validate = this.#answers.get(`${operation.id} ${answer.status} ${mediaType}`);
    if (validate === undefined) return null;
    let body: unknown;
    try {
      body = JSON.parse(answer.text);
    } catch {
      return 'the body is not JSON';
    }
    if (!validate(body)) {
      const [error] = validate.errors ?? [];
      return `${answer.status}: ${error?.instancePath ?? ''} ${error?.message ?? ''} ${JSON.stringify(error?.params)}`;
    }
    return mediaType === PROBLEM ? wrongInstance(answer) : null;
  }
}

function makeAjv(id: string, root: Node): Ajv2020 {
  const ajv = new Ajv2020({ strict: false, validateFormats: true, inlineRefs: false });
  addFormats.default(ajv);
  ajv.addSchema({ $id: id, components: root['components'] }, id, undefined, false);
  return ajv;
}

/** The schema as one of its own, its references into the components kept. */
function inDocument(id: string, schema: unknown): Node {
  return JSON.parse(JSON.stringify(schema).replaceAll('"#/components/', `"${id}#/components/`)) as Node;
}

function contentOf(response: Node): Record<string, { readonly schema: Node }> {
  return (response['content'] ?? {}) as Record<string, { readonly schema: Node }>;
}

/** A problem is several schemas at once, so only all of them together can say what is unknown. */
function closedAnswer(schema: Node): unknown {
  return Array.isArray(schema['allOf']) ? { ...schema, unevaluatedProperties: false } : closed(schema);
}

/**
 * The same schema for exact answers: the document leaves objects open, because clients must; but what the server adds without a word
 * in the document is a field that nobody can know of. What stands in an allOf stays open, and so does the problem, whose members
 * depend on its code.
 */
function closed(node: unknown, name = ''): unknown {
  if (Array.isArray(node)) return node.map((entry) => closed(entry));
  if (typeof node !== 'object' || node === null || name === 'Problem') return node;
  const copy = Object.fromEntries(
    Object.entries(node).map(([key, value]) => [key, key === 'allOf' ? value : closed(value, key)]),
  );
  const isOpenObject =
    typeof copy['properties'] === 'object' && copy['additionalProperties'] === undefined && 'type' in copy;
  return isOpenObject ? { ...copy, additionalProperties: false } : copy;
}

function missingHeader(response: Node, answer: HttpAnswer): string | null {
  const declared = Object.entries((response['headers'] ?? {}) as Record<string, Node>);
  for (const [name, header] of declared) {
    const isRequired = header['required'] === true;
    if (isRequired && answer.headers[name.toLowerCase()] === undefined)
      return `the header ${name} is missing`;
  }
  return null;
}

function wrongRequestId(sent: HttpRequest, answer: HttpAnswer): string | null {
  // A socket is no answer: it has no request id.
  if (answer.status === 101) return null;
  const id = String(answer.headers['x-request-id']);
  const own = sent.headers['X-Request-Id']?.toLowerCase();
  if (!UUID.test(id)) return `X-Request-Id is ${id}`;
  return own !== undefined && UUID.test(own) && id !== own ? 'X-Request-Id is not echoed' : null;
}

function wrongInstance(answer: HttpAnswer): string | null {
  const { instance, status } = JSON.parse(answer.text) as Node;
  if (status !== answer.status) return `a problem of status ${status} came with ${answer.status}`;
  return instance === `urn:uuid:${answer.headers['x-request-id']}` ? null : `instance is ${instance}`;
}
