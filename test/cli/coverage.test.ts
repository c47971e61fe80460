/** Whatever the API does, the command line does; and what it prints for programs is what the contract says. */
import { beforeAll, describe, expect, test } from 'vitest';
import { fillPath } from '../../src/client/transport.ts';
import { buildOpenApiDocument } from '../../src/contract/openapi.ts';
import type { JsonObject } from '../../src/contract/openapi-components.ts';
import type { Route } from '../../src/contract/route.ts';
import { ROUTES } from '../../src/contract/routes.ts';
import type { SeenRequest } from '../client/fixtures/scripted-server.ts';
import { sampleOf } from '../contract/sample.ts';
import { COMMAND_LINES, type CommandLine, OTHER_COMMANDS, OTHER_ROUTES } from './fixtures/command-lines.ts';
import { loadProgram, verbsOf } from './fixtures/every-command.ts';
import { useScriptedApi } from './fixtures/scripted-api.ts';

const document = buildOpenApiDocument('0.0.0');
const api = useScriptedApi();

/** A literal path before one with parameters: /v1/runs/batch is not the run "batch". */
const routes = [...ROUTES].sort((a, b) => a.path.split('{').length - b.path.split('{').length);
const patterns = new Map(routes.map((route) => [route, new RegExp(`^${patternOf(route)}$`)]));

function patternOf({ path }: Route): string {
  const names = [...path.matchAll(/\{(\w+)\}/g)].map(([, name = '']) => name);
  const filled = fillPath(path, Object.fromEntries(names.map((name) => [name, 'PARAMETER'])));
  return filled.replaceAll('.', '\\.').replaceAll('PARAMETER', '[^/]+');
}

function routeOf({ method, path }: SeenRequest): Route {
  const [bare = ''] = path.split('?', 1);
  const route = routes.find((each) => each.method.toUpperCase() === method && patterns.get(each)?.test(bare));
  if (route === undefined) throw new Error(`no route is asked for by ${method} ${path}`);
  return route;
}

/** The smallest answer that the contract allows, with one row in each of its lists. */
function sampleAnswer(route: Route): { status: number; json?: unknown } {
  const status = Number(Object.keys(route.responses).find((each) => each.startsWith('2')));
  if (route.responses[status] == null)
    return route.mediaType === undefined ? { status } : { status, json: 'lanekeeper_up 1' };
  const operation = document.paths[route.path]?.[route.method] as JsonObject;
  const responses = operation['responses'] as Record<number, JsonObject>;
  const content = responses[status]?.['content'] as Record<string, JsonObject>;
  let schema = content['application/json']?.['schema'] as JsonObject;
  const reply = sampleOf(schema, document) as JsonObject;
  const name = schema['$ref'];
  if (typeof name === 'string')
    schema = document.components['schemas']?.[name.replace('#/components/schemas/', '')] as JsonObject;
  for (const [field, part] of Object.entries((schema['properties'] ?? {}) as Record<string, JsonObject>))
    if (part['type'] === 'array' && Array.isArray(reply[field]))
      reply[field] = [sampleOf(part['items'], document)];
  return { status, json: reply };
}

interface Ran {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
  readonly asked: readonly string[];
  readonly lastReply: unknown;
}

async function runLine(line: CommandLine, flags: readonly string[]): Promise<Ran> {
  const asked: string[] = [];
  let lastReply: unknown;
  api.server.respond = (request) => {
    const route = routeOf(request);
    asked.push(route.operationId);
    const answer = sampleAnswer(route);
    if (line.answer !== undefined)
      answer.json = line.answer(answer.json as JsonObject, route.operationId as CommandLine['asks'][number]);
    lastReply = answer.json;
    return answer;
  };
  const options = { ...(line.stdin === undefined ? {} : { stdin: line.stdin }), env: { ...line.env } };
  const end = await api.run([...line.line.split(' '), ...flags], options);
  return { ...end, asked, lastReply };
}

describe('a command line', () => {
  for (const line of COMMAND_LINES) {
    test(`${line.line} asks for ${line.asks.join(', ')}, and prints for programs what the contract says`, async () => {
      const { code, stdout, stderr, asked, lastReply } = await runLine(line, ['--json']);
      expect({ code, asked }, stderr).toEqual({ code: 0, asked: [...line.asks] });
      if (line.prints === 'nothing') {
        expect(stdout).toBe('');
        return;
      }
      const printed: unknown = JSON.parse(stdout);
      const route = ROUTES.find(({ operationId }) => operationId === line.asks.at(-1));
      const schemas = Object.values(route?.responses ?? {}).filter((schema) => schema !== null);
      // What is not JSON by the contract is printed as one JSON string.
      const isValid =
        schemas.length === 0
          ? typeof printed === 'string'
          : schemas.some((schema) => schema.safeParse(printed).success);
      expect(isValid, stdout).toBe(true);
      if (line.prints !== 'shape') expect(printed).toEqual(lastReply);
    });

    if (line.isJsonOnly) continue;
    test(`${line.line} asks the same for people`, async () => {
      const { code, stdout, stderr, asked } = await runLine(line, ['--quiet']);
      expect({ code, stderr, asked }).toEqual({ code: 0, stderr: '', asked: [...line.asks] });
      if (line.prints === 'nothing') expect(stdout).toBe('');
    });
  }
});

describe('the commands', () => {
  let verbs: string[];
  beforeAll(async () => {
    verbs = verbsOf(await loadProgram()).map(({ path }) => path);
  });

  test('are all among the lines here, or named with a reason', () => {
    const lines = COMMAND_LINES.map(({ line }) => line);
    const isTried = (path: string): boolean =>
      lines.some((line) => line === path || line.startsWith(`${path} `));
    expect(verbs.filter((path) => !isTried(path) && OTHER_COMMANDS[path] === undefined)).toEqual([]);
    expect(Object.keys(OTHER_COMMANDS).filter((path) => isTried(path) || !verbs.includes(path))).toEqual([]);
  });

  test('do all that the API does, but for what is named with a reason', () => {
    const twins = new Set(COMMAND_LINES.flatMap(({ asks }) => asks as readonly string[]));
    const alone = ROUTES.map(({ operationId }) => operationId).filter((id) => !twins.has(id));
    expect(alone).toEqual(Object.keys(OTHER_ROUTES));
  });
});
