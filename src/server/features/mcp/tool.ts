/**
 * What a tool is: a name, who may use it, what goes in, and what comes out. A tool never talks to a database and decides nothing: it asks
 * the routes (http/route-calls.ts) in the name of the caller, and shapes what they say for a model.
 */
import type { z } from 'zod';
import { parseWith } from '../../http/body.ts';
import type { Exchange } from '../../http/exchange.ts';
import type { RouteCalls } from '../../http/route-calls.ts';
import { unreachable } from '../../kernel/assert.ts';
import type { Principal } from '../../kernel/principal.ts';
import type { BoardService } from '../boards/service.ts';
import type { LaneHolds } from '../claims/service.ts';
import type { BoardFeeds } from '../watch/service.ts';
import { type JsonSchema, jsonSchemaOf } from './json-schema.ts';
import type { LostAnswers } from './lost-answers.ts';
import type { ToolDocument } from './results.ts';
import type { Waits } from './waits.ts';

export interface ToolParts {
  readonly calls: RouteCalls;
  readonly boards: BoardService;
  readonly feeds: BoardFeeds;
  readonly holds: LaneHolds;
  readonly lost: LostAnswers;
  readonly waits: Waits;
}

/** One call of a tool. */
export interface ToolCall {
  readonly caller: Principal;
  /** The request that brought it. */
  readonly exchange: Exchange;
  readonly parts: ToolParts;
  /** What the answer may take: less than there is where its holder is told something besides (holding.ts). */
  readonly bytesMax: number;
  /** Tells the client now and then that the wait goes on, where it asked for that. */
  whileWaiting<T>(wait: Promise<T>): Promise<T>;
}

/** Groups of principals that have the same tools. */
export type Audience = 'operator' | 'observer' | 'lane' | 'claim';

export function audienceOf(caller: Principal): Audience {
  if (caller.kind === 'claim') return 'claim';
  const { role } = caller;
  switch (role) {
    case 'admin':
    case 'orchestrator':
      return 'operator';
    case 'observer':
    case 'lane':
      return role;
    default:
      return unreachable(role);
  }
}

type Needed = Readonly<Partial<Record<Audience, readonly string[]>>>;

export interface Tool {
  readonly name: string;
  readonly description: string;
  readonly audience: readonly Audience[];
  readonly isReadOnly: boolean;
  /** Called again with the same arguments it changes nothing more. */
  readonly isRepeatable: boolean;
  /** Fields that these may not leave out, though others may. */
  readonly needed: Needed;
  readonly inputSchema: JsonSchema;
  /** Undefined: the shape of what it answers depends on how much there is. */
  readonly outputSchema: JsonSchema | undefined;
  run(call: ToolCall, input: unknown): Promise<ToolDocument>;
}

interface ToolDefinition<S extends z.ZodObject> {
  readonly name: string;
  /** What it does, for a model that chooses among a dozen. */
  readonly description: string;
  readonly audience: readonly Audience[];
  readonly isReadOnly?: boolean;
  readonly isRepeatable?: boolean;
  readonly needed?: Needed;
  /** Strict: an unknown field is refused by its name. */
  readonly input: S;
  /** Of what it answers, the fields that are always there. */
  readonly output?: z.ZodObject;
  readonly run: (call: ToolCall, input: z.infer<S>) => Promise<ToolDocument>;
}

export function defineTool<S extends z.ZodObject>(definition: ToolDefinition<S>): Tool {
  const { input, output, run, isReadOnly = false, isRepeatable = isReadOnly, needed = {} } = definition;
  const { name, description, audience } = definition;
  return {
    name,
    description,
    audience,
    isReadOnly,
    isRepeatable,
    needed,
    inputSchema: jsonSchemaOf(input, 'input'),
    outputSchema: output === undefined ? undefined : jsonSchemaOf(output, 'output'),
    run: (call, given) => run(call, parseWith(input, given, 'input')),
  };
}

/** The tool as this audience is shown it. */
export function shownTo(tool: Tool, audience: Audience): Tool {
  const needed = tool.needed[audience];
  if (needed === undefined) return tool;
  const { inputSchema } = tool;
  const required: unknown[] = Array.isArray(inputSchema['required']) ? inputSchema['required'] : [];
  return { ...tool, inputSchema: { ...inputSchema, required: [...required, ...needed] } };
}
