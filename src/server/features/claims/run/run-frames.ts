/** The verbs of a holder as they come over a socket, and the short replies that go back: the worker knows its task already. */
import type { RunFrame } from '../../../../contract/frames.ts';
import type { ClaimPrincipal } from '../../../kernel/principal.ts';
import type { BoardRef } from '../../boards/service.ts';
import { operateRun, type RunCall, type RunVerbParts } from './run-verbs.ts';

/** After such a frame the run is nobody's any more. */
export function isEnd({ type }: RunFrame): boolean {
  return type !== 'heartbeat' && type !== 'output' && type !== 'ack';
}

/**
 * Resolves to what the reply says beside `ok`.
 * @param bytes What the frame took on the wire.
 */
export async function operateFrame(
  parts: RunVerbParts,
  board: BoardRef,
  claim: ClaimPrincipal,
  frame: RunFrame,
  bytes: number,
): Promise<Readonly<Record<string, unknown>>> {
  const { type: verb, id: _id, run_id: runId, token: _token, ...body } = frame;
  // One schema has read both: the compiler loses that the verb and the rest belong together.
  const said = await operateRun(parts, board, claim, { verb, body } as RunCall, bytes);
  if (!('run' in said)) return { run_id: runId, ...said };
  return { run_id: said.run.run_id, outcome: said.run.outcome, task_status: said.task.status };
}
