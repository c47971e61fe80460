/**
 * Route descriptors and problem table → the OpenAPI document. Pure: the same version gives the same object down to
 * the order of its keys, because openapi.yaml is compared byte by byte. It must never state a fact of its own that
 * the descriptors could state; the watch socket, which has no descriptor, is the one exception.
 * The alternative, `@hono/zod-openapi`, would tie the contract to the HTTP framework.
 */
import { z } from 'zod';
import { BoardParams } from './boards.ts';
import { BEARER_SUBPROTOCOL_PREFIX, HEADERS, LIMITS, WATCH_SUBPROTOCOL } from './constants.ts';
import type { JsonObject } from './openapi-components.ts';
import { OpenApiComponents } from './openapi-components.ts';
import type { ProblemCode } from './problems.ts';
import { PROBLEMS } from './problems.ts';
import type { Route } from './route.ts';
import { SHARED_PROBLEMS } from './route.ts';
import { ROUTES } from './routes.ts';
import { LimitParameter } from './values.ts';

export interface OpenApiDocument {
  readonly openapi: string;
  readonly info: JsonObject;
  readonly servers: JsonObject[];
  readonly security: JsonObject[];
  readonly tags: { readonly name: string; readonly description: string }[];
  readonly paths: Record<string, Record<string, JsonObject>>;
  readonly components: Record<string, Record<string, JsonObject>>;
}

const TAGS: Readonly<Record<string, string>> = {
  system: 'Health, metrics, published keys, and this document.',
  keys: 'API keys, and who the caller is.',
  audit: 'Who did what to the installation and its boards, and who was refused.',
  boards: 'The unit of isolation and of event order.',
  lanes: 'Named, registered, long-lived consumers of work.',
  tasks: 'What there is to do, and what people and orchestrators do with it.',
  claims: 'Taking work: a live, leased hold on a task.',
  runs: 'The verbs of the holder of a claim, under its claim token.',
  delegations: 'Groups of tasks that are handed over together, with one outcome.',
  subscriptions: 'To whom the outcome of a task or delegation is told.',
  deliveries: 'Outcomes on their way back: leased to gateways, or posted to webhooks.',
  events: "A board's gap-free log: read, long-polled, watched.",
};

const STATUS_TEXTS: Readonly<Record<number, string>> = {
  200: 'Success.',
  201: 'Created.',
  202: 'Accepted.',
  204: 'Done; there is no body.',
  503: 'Not able to work now.',
};

const INFO_DESCRIPTION = [
  'A control plane for persistent worker lanes: atomic claims, claim-scoped tokens, one gap-free event log per board.',
  'Times are RFC 3339 in UTC, durations end in `_seconds`, cursors and page tokens are opaque. In requests null means ' +
    'absent, except in PATCH, where it clears; unknown fields are refused. Responses may grow: ignore what you do not know.',
  `Errors are problem details (RFC 9457); switch on \`code\`. \`${HEADERS.requestId}\` is echoed.`,
].join('\n\n');

/** Builds the document; `version` is the version of the package. */
export function buildOpenApiDocument(version: string): OpenApiDocument {
  const components = new OpenApiComponents();
  const paths: Record<string, Record<string, JsonObject>> = {};
  for (const route of ROUTES) {
    paths[route.path] = { ...paths[route.path], [route.method]: operation(route, components) };
  }
  paths['/v1/boards/{board}/watch'] = { get: watchOperation(components) };
  return {
    openapi: '3.1.1',
    info: {
      title: 'Lanekeeper',
      version,
      description: INFO_DESCRIPTION,
      license: { name: 'MIT', identifier: 'MIT' },
    },
    servers: [{ url: '/' }],
    security: [{ bearer: [] }],
    tags: Object.entries(TAGS).map(([name, description]) => ({ name, description })),
    paths,
    components: {
      schemas: sorted(components.schemas),
      responses: sorted(components.responses),
      parameters: PARAMETERS,
      headers: RESPONSE_HEADERS,
      securitySchemes: {
        bearer: {
          type: 'http',
          scheme: 'bearer',
          description: 'An API key (`lk_…`), or a claim token: a JWT that speaks for one claim only.',
        },
      },
    },
  };
}

const PARAMETERS: Record<string, JsonObject> = {
  IdempotencyKey: {
    name: HEADERS.idempotencyKey,
    in: 'header',
    description: 'The same key with the same body gets the first answer again, for 24 hours.',
    schema: { type: 'string', minLength: 1, maxLength: 255 },
  },
  PreferWait: {
    name: HEADERS.prefer,
    in: 'header',
    description: `\`wait=N\` holds the answer back for up to N seconds (RFC 7240), at most ${LIMITS.waitSecondsMax}.`,
    schema: { type: 'string' },
    example: 'wait=30',
  },
  Origin: {
    name: HEADERS.origin,
    in: 'header',
    description:
      'The base64url of a JSON object: what the member `origin` of the body says, and wins over it (docs/protocol.md).',
    schema: { type: 'string' },
  },
  LastEventId: {
    name: HEADERS.lastEventId,
    in: 'header',
    description:
      'With `Accept: text/event-stream`: the `id` of the last event that arrived. The stream goes on after it, whatever `after` says.',
    schema: { type: 'string' },
  },
  IfMatch: {
    name: 'If-Match',
    in: 'header',
    description: 'Change only the version that has this ETag.',
    schema: { type: 'string' },
    example: '"3"',
  },
};

const RESPONSE_HEADERS: Record<string, JsonObject> = {
  [HEADERS.requestId]: alwaysThere('The id of this request, also in the log of the server.'),
  ETag: alwaysThere('The version of the resource, in quotes.'),
  [HEADERS.preferenceApplied]: header('The wait that was applied.'),
  [HEADERS.idempotentReplayed]: header('`true` when this is the first answer again.'),
  'Retry-After': alwaysThere('Seconds until another try makes sense.'),
  RateLimit: header('What is left of the budget.'),
  'RateLimit-Policy': header('The budget and its window.'),
  'WWW-Authenticate': alwaysThere('The scheme that is expected.'),
};

function header(description: string): JsonObject {
  return { description, schema: { type: 'string' } };
}

/** Wherever it is declared. */
function alwaysThere(description: string): JsonObject {
  return { ...header(description), required: true };
}

function headers(...names: string[]): JsonObject {
  return Object.fromEntries(names.map((name) => [name, { $ref: `#/components/headers/${name}` }]));
}

function operation(route: Route, components: OpenApiComponents): JsonObject {
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

function parameters(route: Route, components: OpenApiComponents): JsonObject[] {
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

function responses(route: Route, components: OpenApiComponents): JsonObject {
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

const CREDENTIAL_PROBLEMS: readonly ProblemCode[] = ['unauthenticated', 'token_expired', 'forbidden'];
const BODY_PROBLEMS: readonly ProblemCode[] = ['invalid_json', 'payload_too_large', 'unsupported_media_type'];

function problemsByStatus(route: Pick<Route, 'access' | 'body' | 'problems'>): [number, ProblemCode[]][] {
  const shared = SHARED_PROBLEMS.filter(
    (code) => route.access !== 'open' || !CREDENTIAL_PROBLEMS.includes(code),
  );
  const codes = [...new Set([...shared, ...(route.body ? BODY_PROBLEMS : []), ...route.problems])].sort();
  const statuses = [...new Set(codes.map((code) => PROBLEMS[code].status))].sort((a, b) => a - b);
  return statuses.map((status) => [status, codes.filter((code) => PROBLEMS[code].status === status)]);
}

/** The watch socket is a protocol of its own, so only its upgrade is described here. */
/** The upgrade of the watch socket: described like a route, but bound by the WebSocket server. */
export const WATCH_UPGRADE = {
  operationId: 'watchBoard',
  method: 'get',
  path: '/v1/boards/{board}/watch',
  summary: 'Open the watch socket of a board (WebSocket).',
  tag: 'events',
  access: 'authenticated',
  params: BoardParams,
  responses: {},
  problems: ['not_found', 'origin_not_allowed'],
} as const satisfies Route;

function watchOperation(components: OpenApiComponents): JsonObject {
  const route = WATCH_UPGRADE;
  const subprotocols = {
    name: 'Sec-WebSocket-Protocol',
    in: 'header',
    required: true,
    description:
      `\`${WATCH_SUBPROTOCOL}\`; a client that cannot set headers adds ` +
      `\`${BEARER_SUBPROTOCOL_PREFIX}\` and the base64url of its API key as a second one.`,
    schema: { type: 'string' },
    example: WATCH_SUBPROTOCOL,
  };
  const described = operation(route, components);
  return {
    ...described,
    description:
      'The frames, close codes and guarantees stand in docs/protocol.md. A refused upgrade is a plain HTTP answer.',
    parameters: [...parameters(route, components), subprotocols],
    responses: {
      101: { description: `Switching protocols; \`Sec-WebSocket-Protocol\` is \`${WATCH_SUBPROTOCOL}\`.` },
      ...responses(route, components),
    },
  };
}

function sorted(entries: ReadonlyMap<string, JsonObject>): Record<string, JsonObject> {
  return Object.fromEntries([...entries].sort(([a], [b]) => (a < b ? -1 : 1)));
}
