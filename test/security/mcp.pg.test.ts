/**
 * MCP beside the matrix of the routes: everybody who may call × every tool, shown or not, × a foreign board and one that does not exist. Nothing
 * of a foreign board is shown or changed, and it cannot be told from none.
 */
import { beforeAll, describe, expect, test } from 'vitest';
import { useBench } from '../fixtures/bench.ts';
import { type RpcAnswer, rpc } from '../server/features/mcp/json-rpc.ts';
import {
  CALLERS,
  deedsIn,
  MARKERS,
  makeWorld,
  maySee,
  type Place,
  type World,
  withoutNames,
} from './world.ts';

const bench = useBench();
let world: World;

beforeAll(async () => {
  world = await makeWorld(bench);
});

/** Each tool, with the names of a place wherever it takes any. */
const INPUTS: Readonly<Record<string, (place: Place) => Record<string, unknown>>> = {
  claim_task: () => ({ worker: 'w', lane: 'x' }),
  show_task: ({ run }) => ({ run_id: run }),
  heartbeat: ({ run }) => ({ run_id: run }),
  progress: ({ run }) => ({ run_id: run, progress: 1 }),
  comment: ({ run, task }) => ({ run_id: run, task_id: task, body: 'x' }),
  output: ({ run }) => ({ run_id: run, lines: ['x'] }),
  inbox: ({ run }) => ({ run_id: run }),
  complete_task: ({ run }) => ({ run_id: run, summary: 'x' }),
  block_task: ({ run }) => ({ run_id: run, reason: 'x' }),
  fail_task: ({ run }) => ({ run_id: run, error: 'x' }),
  release_task: ({ run }) => ({ run_id: run }),
  request_changes: ({ run }) => ({ run_id: run, reason: 'x' }),
  create_tasks: ({ board }) => ({ board, tasks: [{ title: 'x' }] }),
  list_tasks: ({ board }) => ({ board }),
  get_task: ({ board, task }) => ({ board, task_id: task, include: ['runs', 'context'] }),
  wait_tasks: ({ board, task }) => ({ board, ids: [task] }),
  list_lanes: ({ board }) => ({ board }),
  delegate: ({ board, lane }) => ({ board, goal: 'x', lane }),
  check: ({ board, delegation }) => ({ board, delegation_id: delegation }),
  collect: ({ board, delegation }) => ({ board, delegation_id: delegation }),
  steer: ({ board, task }) => ({ board, task_id: task, message: 'x' }),
  cancel: ({ board, delegation }) => ({ board, delegation_id: delegation }),
  unblock: ({ board, task }) => ({ board, task_id: task }),
};

const TOOLS = Object.keys(INPUTS);

const useTool = (token: string | null, name: string, place: Place): Promise<RpcAnswer> =>
  rpc(bench.server, token, 'tools/call', { name, arguments: INPUTS[name]?.(place) ?? {} });

test('every tool is known here', async () => {
  const shown = await Promise.all(
    CALLERS.map(async (name) => {
      const { refusal, token } = world.callers[name];
      const { status, body } = await rpc(bench.server, token, 'tools/list');
      expect([name, status]).toEqual([name, refusal === undefined ? 200 : 401]);
      if (refusal !== undefined) expect(body.code).toBe(refusal);
      return refusal === undefined ? body.result.tools.map((tool: { name: string }) => tool.name) : [];
    }),
  );
  expect([...new Set(shown.flat())].toSorted()).toEqual(TOOLS.toSorted());
});

describe('a foreign board is neither shown nor changed, and cannot be told from none', () => {
  test.each(TOOLS)('by %s', async (name) => {
    const { foreign, missing } = world.places;
    const strangers = CALLERS.map((caller) => world.callers[caller]).filter(
      (caller) => caller.refusal === undefined && !maySee(caller, foreign),
    );
    expect(strangers.length).toBeGreaterThan(5);
    const before = await deedsIn(bench);
    for (const caller of strangers) {
      const there = await useTool(caller.token, name, foreign);
      const nowhere = await useTool(caller.token, name, missing);
      expect(JSON.stringify(there.body), caller.name).not.toContain(MARKERS.foreign);
      expect([caller.name, withoutNames(there.body, foreign)]).toEqual([
        caller.name,
        withoutNames(nowhere.body, missing),
      ]);
      expect(there.body.error ?? there.body.result.isError, caller.name).toBeTruthy();
    }
    expect(await deedsIn(bench)).toEqual(before);
  });
});
