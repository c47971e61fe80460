/** The MCP endpoint of a server of the file's own, with the moves that most of its tests begin with. */
import { beforeAll, expect } from 'vitest';
import { type Bench, useBench } from '../../../fixtures/bench.ts';
import type { CallAnswer } from '../../../fixtures/server.ts';
import { type RpcOptions, type ToolSaid, useTool } from './json-rpc.ts';

type Body = Readonly<Record<string, unknown>>;

export interface McpSite {
  readonly bench: Bench;
  /** A lane of the test's own, with a key. */
  makeLane(body?: Body): Promise<{ readonly lane: string; readonly key: string }>;
  use(token: string, name: string, input?: Body, options?: RpcOptions): Promise<ToolSaid>;
  orchestratorKey(): string;
  /** Uses a tool with the key of an orchestrator. */
  orchestrate(name: string, input?: Body, options?: RpcOptions): Promise<ToolSaid>;
  steer(task: string, message: string): Promise<CallAnswer>;
  /** A task of the lane that its worker holds. */
  hold(key: string, lane: string, input?: Body): Promise<ToolSaid['said']>;
}

/** Call at the top of a file. */
export function useMcpSite(): McpSite {
  const bench = useBench();
  let orchestrator = '';
  let lanes = 0;
  beforeAll(async () => {
    orchestrator = (await bench.makeKey({ role: 'orchestrator', boards: ['default'] })).secret;
  });
  const use: McpSite['use'] = (token, name, input, options) =>
    useTool(bench.server, token, name, input, options);
  return {
    bench,
    makeLane: async (body = {}) => {
      lanes += 1;
      const lane = `lane-${lanes}`;
      await bench.makeLane('default', lane, body);
      return { lane, key: (await bench.makeKey({ role: 'lane', board: 'default', lane })).secret };
    },
    use,
    orchestratorKey: () => orchestrator,
    orchestrate: (name, input, options) => use(orchestrator, name, input, options),
    steer: (task, message) => bench.api.post(`/v1/boards/default/tasks/${task}/steer`, { message }),
    hold: async (key, lane, input) => {
      const task = await bench.makeTask('default', { lane });
      const { said } = await use(key, 'claim_task', input);
      expect(said).toMatchObject({ claimed: true, task_id: task.id });
      return said;
    },
  };
}
