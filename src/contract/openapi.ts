/**
 * Route descriptors and problem table → the OpenAPI document. Pure: the same version gives the same object down to
 * the order of its keys, because openapi.yaml is compared byte by byte. It must never state a fact of its own that
 * the descriptors could state; the watch socket, which has no descriptor, is the one exception.
 * The alternative, `@hono/zod-openapi`, would tie the contract to the HTTP framework.
 */
import { BoardParams } from './boards.ts';
import { BEARER_SUBPROTOCOL_PREFIX, HEADERS, LIMITS, WATCH_SUBPROTOCOL } from './constants.ts';
import type { JsonObject } from './openapi-components.ts';
import { OpenApiComponents } from './openapi-components.ts';
import { operation, parameters, responses } from './openapi-operation.ts';
import type { Route } from './route.ts';
import { ROUTES } from './routes.ts';

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

/** The upgrade of the watch socket: described like a route, but bound by the WebSocket server. What follows it is a protocol of its own. */
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
