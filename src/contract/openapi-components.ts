/**
 * The reusable parts of the OpenAPI document, gathered while its operations are written: named schemas and problem
 * answers. It must never hold a name that nothing refers to.
 * Zod's registry mode would need every schema to be registered; reading the `$defs` of each conversion finds the
 * named ones that are really used, and no others.
 */
import { z } from 'zod';
import { HEADERS } from './constants.ts';
import { RunId, TaskId, Timestamp } from './identifiers.ts';
import type { ProblemCode } from './problems.ts';
import { PROBLEMS, ProblemBody } from './problems.ts';
import { CLAIM_LOST_REASONS, DELIVERY_STATUSES, Outcome } from './statuses.ts';

/** A node of the document: plain JSON. */
export type JsonObject = { [key: string]: unknown };

/** Requests are described as a client may send them, responses as a client must be ready to read them. */
type Direction = 'input' | 'output';

/** Members that a problem may carry beyond those every problem has. */
const PROBLEM_MEMBERS: Partial<Record<ProblemCode, z.ZodObject>> = {
  already_exists: z.object({
    resource: z.string().optional().describe('What kind of resource has the name.'),
  }),
  claim_lost: z.object({
    reason: z.enum(CLAIM_LOST_REASONS).optional(),
    at: Timestamp.nullish(),
    by: z.unknown().describe('Who or what ended the claim.'),
    outcome: Outcome.nullish(),
  }),
  delegation_capacity: z.object({
    capacity_key: z.string().optional(),
    running: z.int().optional().describe('Delegations of that key.'),
    limit: z.int().optional(),
  }),
  dependency_cycle: z.object({
    path: z
      .array(TaskId)
      .optional()
      .describe('From the task over its parents back to itself, as far as the caller may see them.'),
    truncated: z.literal(true).optional().describe('Some of the path are left out.'),
  }),
  illegal_transition: z.object({
    status_before: z.string().optional().describe('Of the task or delivery.'),
    status_after: z.string().optional().describe('Where it was to go.'),
    unmet_parents: z.int().optional().describe('How many tasks it still waits for, where that is why.'),
  }),
  lease_lost: z.object({
    delivery_status: z.enum(DELIVERY_STATUSES).optional().describe('What the delivery is now.'),
  }),
  not_found: z.object({ resource: z.string().optional().describe('What kind of resource is missing.') }),
  task_not_claimable: z.object({
    reasons: z
      .array(z.looseObject({ code: z.string(), detail: z.string(), since: Timestamp }))
      .optional()
      .describe("As the task's `why` has them, and besides: running, other_lane."),
  }),
  token_expired: z.object({
    task_id: TaskId.optional().describe('Of the claim that the token spoke for.'),
    run_id: RunId.optional(),
  }),
  version_mismatch: z.object({ version: z.int().optional().describe('What it is at by now.') }),
};

const PROBLEM_HEADERS: Readonly<Record<number, readonly string[]>> = {
  401: ['WWW-Authenticate'],
  429: ['RateLimit', 'RateLimit-Policy', 'Retry-After'],
  503: ['Retry-After'],
};

/** The name under which ProblemBody is published, wherever it occurs. */
const PROBLEM_REFERENCE = '#/components/schemas/Problem';

/** What zod calls the definition of a schema that contains itself and has no name. In the contract only z.json() does. */
const UNNAMED_DEFINITION = /^__schema\d+$/;

export class OpenApiComponents {
  readonly schemas = new Map<string, JsonObject>();
  readonly responses = new Map<string, JsonObject>();

  constructor() {
    this.schemas.set('Problem', this.#convert(ProblemBody, 'output'));
  }

  /** The schema as the document shows it; the named schemas within it become components. */
  schema(schema: z.core.$ZodType, direction: Direction): JsonObject {
    if (schema === ProblemBody) return { $ref: PROBLEM_REFERENCE };
    return this.#convert(schema, direction);
  }

  /** The answer for all problems that share a status: a component named after its codes, and the reference to it. */
  problemResponse(
    status: number,
    codes: readonly ProblemCode[],
  ): { response: JsonObject; reference: JsonObject } {
    const name = codes.map(pascalCase).join('Or');
    const response = this.responses.get(name) ?? this.#problemResponse(status, codes);
    this.responses.set(name, response);
    return { response, reference: { $ref: `#/components/responses/${name}` } };
  }

  #problemResponse(status: number, codes: readonly ProblemCode[]): JsonObject {
    const members = codes.map((code) => {
      const shape = PROBLEM_MEMBERS[code];
      return shape ? this.schema(shape, 'output')['properties'] : {};
    });
    const narrowed = {
      properties: { status: { const: status }, code: { enum: codes }, ...Object.assign({}, ...members) },
    };
    const headerNames = [HEADERS.requestId, ...(PROBLEM_HEADERS[status] ?? [])];
    return {
      description: codes.map((code) => `\`${code}\`: ${PROBLEMS[code].title}.`).join('\n'),
      headers: Object.fromEntries(
        headerNames.map((header) => [header, { $ref: `#/components/headers/${header}` }]),
      ),
      content: { 'application/problem+json': { schema: { allOf: [{ $ref: PROBLEM_REFERENCE }, narrowed] } } },
    };
  }

  #convert(schema: z.core.$ZodType, direction: Direction): JsonObject {
    const {
      $schema: _,
      $defs: definitions = {},
      ...root
    } = z.toJSONSchema(schema, {
      target: 'draft-2020-12',
      io: direction,
      override: ({ zodSchema, jsonSchema }) => {
        if (zodSchema === ProblemBody && schema !== ProblemBody)
          become(jsonSchema, { $ref: PROBLEM_REFERENCE });
        if (isAnyJson(zodSchema))
          become(jsonSchema, { description: jsonSchema.description ?? 'Any JSON value.' });
      },
    });
    const named = Object.entries(definitions).filter(([id]) => !UNNAMED_DEFINITION.test(id));
    for (const [id, definition] of named) this.#define(id, definition as JsonObject, direction);
    return tidy(root as JsonObject, direction);
  }

  /** One name, one schema. A name that means something else in requests would need a second name: refuse it loudly. */
  #define(id: string, definition: JsonObject, direction: Direction): void {
    const schema = tidy(definition, direction);
    const present = this.schemas.get(id);
    if (present !== undefined && JSON.stringify(present) !== JSON.stringify(schema)) {
      throw new Error(`Schema ${id} differs between its uses; give the request its own schema and name.`);
    }
    this.schemas.set(id, schema);
  }
}

function pascalCase(code: string): string {
  return code.replace(/(?:^|_)([a-z])/g, (_, letter: string) => letter.toUpperCase());
}

function become(target: object, source: object): void {
  for (const key of Object.keys(target)) Reflect.deleteProperty(target, key);
  Object.assign(target, source);
}

/** z.json() is a lazy schema that accepts every JSON value. Written out it is a page of recursion that says "anything". */
function isAnyJson(schema: z.core.$ZodType): boolean {
  return schema._zod.def.type === 'lazy' && z.safeParse(schema, [null, true, 0, '', [], {}]).success;
}

/** Leaves out what says nothing to a reader, and points references at the components. */
function tidy(node: unknown, direction: Direction): JsonObject {
  const { $ref, ...keywords } = node as JsonObject;
  const tidied: JsonObject = reference($ref);
  for (const [keyword, value] of Object.entries(keywords)) {
    if (!isNoise(keyword, value, keywords, direction)) tidied[keyword] = tidyValue(keyword, value, direction);
  }
  return withNullType(tidied);
}

function reference($ref: unknown): JsonObject {
  if (typeof $ref !== 'string' || $ref.startsWith('#/components/')) return $ref === undefined ? {} : { $ref };
  const id = $ref.replace('#/$defs/', '');
  // Only z.json() gets such a name, and it accepts everything, as a schema without keywords does.
  return UNNAMED_DEFINITION.test(id) ? {} : { $ref: `#/components/schemas/${id}` };
}

function tidyValue(keyword: string, value: unknown, direction: Direction): unknown {
  if (keyword === 'properties') {
    // The keys of this object are names of fields, not keywords.
    const fields = Object.entries(value as JsonObject).map(([name, field]) => [name, tidy(field, direction)]);
    return Object.fromEntries(fields);
  }
  if (Array.isArray(value)) return value.map((item) => (isObject(item) ? tidy(item, direction) : item));
  return isObject(value) ? tidy(value, direction) : value;
}

function isObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** Keywords that say nothing, and the closing of objects in responses: clients must accept fields they do not know. */
function isNoise(keyword: string, value: unknown, siblings: JsonObject, direction: Direction): boolean {
  switch (keyword) {
    case 'minimum':
      return value === Number.MIN_SAFE_INTEGER;
    case 'maximum':
      return value === Number.MAX_SAFE_INTEGER;
    case 'pattern':
      return siblings['format'] === 'date-time';
    case 'propertyNames':
      return JSON.stringify(value) === '{"type":"string"}';
    case 'additionalProperties':
      return direction === 'output' && (value === false || JSON.stringify(value) === '{}');
    default:
      return false;
  }
}

/** `anyOf: [{type: 'string', …}, {type: 'null'}]` → `type: ['string', 'null'], …` */
function withNullType(schema: JsonObject): JsonObject {
  const { anyOf, ...rest } = schema;
  if (!Array.isArray(anyOf) || anyOf.length !== 2 || anyOf[1].type !== 'null') return schema;
  const [first] = anyOf;
  if (typeof first.type !== 'string' || 'const' in first) return schema;
  return {
    ...rest,
    ...first,
    type: [first.type, 'null'],
    ...(first.enum && { enum: [...first.enum, null] }),
  };
}
