/**
 * The MCP server: one message in, one answer out, nothing kept in between, so that any replica may take the next one. Shows each principal
 * the tools that are meant for it; what a tool may do is decided again by the routes that it asks.
 */
import { performance } from 'node:perf_hooks';
import type { ProblemCode } from '../../../contract/problems.ts';
import type { Answer, Exchange } from '../../http/exchange.ts';
import { asProblem } from '../../http/on-error.ts';
import { parseTraceparent } from '../../http/request-headers.ts';
import type { Principal } from '../../kernel/principal.ts';
import type { ProblemError } from '../../kernel/problem-error.ts';
import { GivenUp } from './given-up.ts';
import { HEARD_BYTES_MAX, refusalWithHeard, withHeard } from './holding.ts';
import { instructionsFor } from './instructions.ts';
import { refusalOf } from './refusals.ts';
import { fitted, RESULT_BYTES_MAX, type ToolDocument } from './results.ts';
import { type CallArrival, memberOf, serveMessage, type ToolAnswer } from './serving.ts';
import { audienceOf, shownTo, type Tool, type ToolCall, type ToolParts } from './tool.ts';
import { TOOLS } from './tools/all.ts';
import { DELEGATION_ALIASES } from './tools/delegation-aliases.ts';
import { KANBAN_ALIASES } from './tools/kanban-aliases.ts';

export interface McpServiceParts extends ToolParts {
  readonly version: string;
  /** `outcome`: ok, refused, failed. */
  readonly observe: (tool: string, outcome: string, seconds: number) => void;
  readonly onProblem: (
    problem: ProblemError,
    fields: { readonly requestId: string; readonly route: string },
  ) => void;
}

/** A key is given the names that agents of Hermes know, or not; the claims made with it are not, they have no key to ask. */
function hasAliases(caller: Principal): boolean {
  return caller.kind === 'key' && caller.hasMcpAliases;
}

/** The tools of the principal, by name. A name that is a tool's own goes to that tool. */
export function toolsFor(caller: Principal): ReadonlyMap<string, Tool> {
  const audience = audienceOf(caller);
  const known = hasAliases(caller) ? [...KANBAN_ALIASES, ...DELEGATION_ALIASES, ...TOOLS] : TOOLS;
  const meant = known.filter((tool) => tool.audience.includes(audience));
  return new Map(meant.map((tool) => [tool.name, shownTo(tool, audience)]));
}

/** How clients of the revisions of 2025 give a call up. */
const CANCELLED = 'notifications/cancelled';

export class McpService {
  readonly #parts: McpServiceParts;
  readonly #givenUp = new GivenUp();

  constructor(parts: McpServiceParts) {
    this.#parts = parts;
  }

  answer(caller: Principal, exchange: Exchange): Promise<Answer> {
    const tools = toolsFor(caller);
    const message: unknown = exchange.body;
    if (memberOf(message, 'method') === CANCELLED)
      this.#givenUp.giveUp(caller, memberOf(memberOf(message, 'params'), 'requestId'));
    return serveMessage(exchange, {
      version: this.#parts.version,
      instructions: instructionsFor(audienceOf(caller)),
      tools,
      call: (tool, arrival) => this.#call(tool, arrival, caller, exchange),
    });
  }

  async #call(
    tool: Tool,
    { input, traceparent, whileWaiting }: CallArrival,
    caller: Principal,
    exchange: Exchange,
  ): Promise<ToolAnswer> {
    const { observe, onProblem } = this.#parts;
    const startedAt = performance.now();
    const observed = (outcome: string) => observe(tool.name, outcome, (performance.now() - startedAt) / 1000);
    const traced = { ...exchange, traceparent: exchange.traceparent ?? parseTraceparent(traceparent) };
    const bytesMax = RESULT_BYTES_MAX - (caller.kind === 'claim' ? HEARD_BYTES_MAX : 0);
    const call = { caller, exchange: traced, parts: this.#parts, bytesMax, whileWaiting };
    try {
      const document = await this.#givenUp.during(caller, traced, memberOf(exchange.body, 'id'), (leavable) =>
        answered(tool, { ...call, exchange: leavable }, input),
      );
      observed('ok');
      return { document: fitted(document), isRefusal: false };
    } catch (error) {
      const problem = asProblem(error);
      onProblem(problem, { requestId: exchange.requestId, route: `mcp ${tool.name}` });
      observed(problem.status >= 500 ? 'failed' : 'refused');
      return { document: fitted(await refused(call, problem)), isRefusal: true };
    }
  }
}

/** Whoever holds a claim hears with every answer what it is to hear, and room is kept for that. */
async function answered(tool: Tool, call: ToolCall, input: unknown): Promise<ToolDocument> {
  const { caller } = call;
  const document = await tool.run(call, input);
  return caller.kind === 'claim' ? withHeard(call, caller, document) : document;
}

/** What may be refused because of what the holder has not heard yet. Whoever asks for what is not its own has said nothing of its run. */
const EXPLAINED: ReadonlySet<ProblemCode> = new Set(['illegal_transition', 'delegation_capacity']);

async function refused(call: ToolCall, problem: ProblemError): Promise<ToolDocument> {
  const { caller } = call;
  const refusal = refusalOf(problem, call.bytesMax);
  const isHeard = caller.kind === 'claim' && EXPLAINED.has(problem.code);
  return isHeard ? refusalWithHeard(call, caller, refusal) : refusal;
}
