/**
 * One route → its operation in the OpenAPI document: parameters, body, and every answer that it can give. Says nothing that the
 * route does not; the headers and parameters that it refers to by name are written out once, in the document (openapi.ts).
 */
import { z } from 'zod';
import { HEADERS, LIMITS } from './constants.ts';
import type { JsonObject, OpenApiComponents } from './openapi-components.ts';
import type { ProblemCode } from './problems.ts';
import { PROBLEMS } from './problems.ts';
import type { Route } from './route.ts';
import { SHARED_PROBLEMS } from './route.ts';
import { LimitParameter } from './values.ts';

const STATUS_TEXTS: Readonly<Record<number, string>> = {
  200: 'Success.',
  201: 'Created.',
  202: 'Accepted.',
  204: 'Done; there is no body.',
  503: 'Not able to work now.',
};

const CREDENTIAL_PROBLEMS: readonly ProblemCode[] = ['unauthenticated', 'token_expired', 'forbidden'];
const BODY_PROBLEMS: readonly ProblemCode[] = ['invalid_json', 'payload_too_large', 'unsupported_media_type'];

export function operation(route: Route, components: OpenApiComponents): JsonObject {
  return {
    operationId: route.operationId,
    tags: [route.tag],
    summary: route.summary,
    ...(route.access === 'open' && { security: openSecurity(route) }),
    ...listOfSome('parameters', parameters(route, components)),
    ...(route.body && {
      requestBody: {
        required: route.isBodyOptional !== true,
        content: { 'application/json': { schema: components.schema(route.body, 'input') } },
      },
    }),
    responses: responses(route, components),
  };
}

function listOfSome(keyword: string, list: JsonObject[]): JsonObject {
  return list.length === 0 ? {} : { [keyword]: list };
}

/** An open route that can answer `unauthenticated` takes a credential where it must, and none where it need not. */
function openSecurity(route: Route): JsonObject[] {
  const isHeard = route.problems.includes('unauthenticated') && !route.isCredentialInBody;
  return isHeard ? [{}, { bearer: [] }] : [];
}

export function parameters(route: Route, components: OpenApiComponents): JsonObject[] {
  const ofObject = (object: z.ZodObject | undefined, place: 'path' | 'query') =>
    Object.entries(object?.shape ?? {}).map(([name, schema]) => {
      const { description, ...rest } = parameterSchema(name, schema, components);
      const required = place === 'path' || !z.safeParse(schema, undefined).success;
      return {
        name,
        in: place,
        ...(required && { required }),
        ...(description !== undefined && { description }),
        schema: rest,
      };
    });
  const flagged = [
    route.isIdempotent && 'IdempotencyKey',
    route.isWaitable && 'PreferWait',
    route.serverSentEvents && 'LastEventId',
    route.isConditional && 'IfMatch',
    route.hasOrigin && 'Origin',
  ].filter((name) => typeof name === 'string');
  return [
    ...ofObject(route.params, 'path'),
    ...ofObject(route.query, 'query'),
    ...flagged.map((name) => ({ $ref: `#/components/parameters/${name}` })),
  ];
}

/** Query parameters arrive as text, but a number among them is documented as the number it stands for. */
function parameterSchema(name: string, schema: z.core.$ZodType, components: OpenApiComponents): JsonObject {
  if (name !== 'limit') return components.schema(schema, 'input');
  return schema === LimitParameter
    ? { type: 'integer', minimum: 1, maximum: LIMITS.pageRowsMax, default: LIMITS.pageRowsDefault }
    : { type: 'integer', minimum: 1, maximum: LIMITS.eventPageRowsMax };
}

export function responses(route: Route, components: OpenApiComponents): JsonObject {
  const found: Record<string, JsonObject> = {};
  for (const [status, schema] of Object.entries(route.responses)) {
    found[status] = successResponse(route, Number(status), schema, components);
  }
  for (const [status, codes] of problemsByStatus(route)) {
    const problem = components.problemResponse(status, codes);
    const own = found[status];
    // A status that is both an answer of its own and a problem lists both media types.
    found[status] =
      own === undefined
        ? problem.reference
        : { ...own, content: { ...contentOf(own), ...contentOf(problem.response) } };
  }
  return found;
}

function successResponse(
  route: Route,
  status: number,
  schema: z.ZodType | null,
  components: OpenApiComponents,
): JsonObject {
  const isVersioned =
    schema instanceof z.ZodObject && /^(board|lane|task)$/.test(Object.keys(schema.shape).join());
  const names = [
    HEADERS.requestId,
    isVersioned && 'ETag',
    route.isWaitable && HEADERS.preferenceApplied,
    route.isIdempotent && HEADERS.idempotentReplayed,
  ].filter((name) => typeof name === 'string');
  const content = schema
    ? { 'application/json': { schema: components.schema(schema, 'output') } }
    : route.mediaType && { [route.mediaType]: { schema: { type: 'string' } } };
  const streamed = status === 200 && route.serverSentEvents && streamContent(route.serverSentEvents);
  return {
    description: STATUS_TEXTS[status] ?? '',
    headers: headers(...names),
    ...(content && { content: { ...content, ...streamed } }),
  };
}

function headers(...names: string[]): JsonObject {
  return Object.fromEntries(names.map((name) => [name, { $ref: `#/components/headers/${name}` }]));
}

/** OpenAPI 3.1 can say what a stream is made of only in words. */
function streamContent(schema: z.ZodType): JsonObject {
  const name = schema.meta()?.id ?? 'value';
  return {
    'text/event-stream': {
      schema: {
        type: 'string',
        description:
          `Server-sent events, without an end. The \`data\` of each is one \`${name}\` as JSON, its \`event\` the kind, its \`id\` the ` +
          'cursor after it. An `id` without `data` moves the position along where nothing matched.',
      },
    },
  };
}

function contentOf(response: JsonObject): JsonObject {
  return (response['content'] ?? {}) as JsonObject;
}

function problemsByStatus(route: Pick<Route, 'access' | 'body' | 'problems'>): [number, ProblemCode[]][] {
  const shared = SHARED_PROBLEMS.filter(
    (code) => route.access !== 'open' || !CREDENTIAL_PROBLEMS.includes(code),
  );
  const codes = [...new Set([...shared, ...(route.body ? BODY_PROBLEMS : []), ...route.problems])].sort();
  const statuses = [...new Set(codes.map((code) => PROBLEMS[code].status))].sort((a, b) => a - b);
  return statuses.map((status) => [status, codes.filter((code) => PROBLEMS[code].status === status)]);
}
