/**
 * Binds POST /mcp. It is no route of the contract: what goes over it is the Model Context Protocol's, described by tools/list and not by OpenAPI,
 * and it offers nothing that the contract's routes do not (docs/mcp.md), so no client of ours needs it. Credential, rate limit, body, wait and
 * shutdown are those of every route.
 */
import { z } from 'zod';
import { defineRoute } from '../../../contract/route.ts';
import type { Bind } from '../../http/bind-route.ts';
import { present } from '../../kernel/assert.ts';
import { ProblemError } from '../../kernel/problem-error.ts';
import type { Returns } from '../claims/service.ts';
import { LostAnswers } from './lost-answers.ts';
import { McpService, type McpServiceParts } from './service.ts';
import { Waits } from './waits.ts';

export const mcpMessages = defineRoute({
  operationId: 'mcpMessages',
  method: 'post',
  path: '/mcp',
  summary: 'Model Context Protocol, streamable HTTP, without sessions.',
  tag: 'system',
  access: 'authenticated',
  // Batches left the protocol with revision 2025-06-18: one would be a way around every bound on a request.
  body: z.looseObject({ jsonrpc: z.literal('2.0') }),
  hasOrigin: true,
  responses: { 200: null },
  problems: ['origin_not_allowed'],
});

interface McpRoutes extends Omit<McpServiceParts, 'lost' | 'waits'> {
  readonly returns: Returns;
  readonly isOriginAllowed: (origin: string, ownOrigin: string | undefined) => boolean;
}

export function bindMcpRoutes(bind: Bind, parts: McpRoutes): void {
  const service = new McpService({ ...parts, lost: new LostAnswers(parts.returns), waits: new Waits() });
  bind(
    mcpMessages,
    (exchange) => {
      // A page that has been given a name of this machine (DNS rebinding) has no key either; the protocol asks for the check all the same.
      const origin = exchange.header('origin');
      if (origin !== undefined && !parts.isOriginAllowed(origin, exchange.ownOrigin()))
        throw new ProblemError(
          'origin_not_allowed',
          'This Origin may not use MCP here. Add it to LANEKEEPER_ALLOWED_ORIGINS.',
        );
      return service.answer(present(exchange.caller, '/mcp is not open'), exchange);
    },
    { isLasting: true },
  );
}
