/** The verbs of a holder as they come over a socket, and the short replies that go back: the worker knows its task already. */
import type { RunFrame } from '../../../contract/frames.ts';
import { unreachable } from '../../kernel/assert.ts';
import type { ClaimPrincipal } from '../../kernel/principal.ts';
import type { BoardRef } from '../boards/service.ts';
import type { Inbox } from './inbox.ts';
import type { Outputs } from './outputs.ts';
import { blockEnd, completeEnd, failEnd, holdOf, type RunEnd, releaseEnd } from './run-operation.ts';
import type { Running } from './running.ts';

/** Frames after which the run is nobody's any more. */
export function isEnd(frame: RunFrame): frame is EndFrame {
  return frame.type !== 'heartbeat' && frame.type !== 'output' && frame.type !== 'ack';
}

type EndFrame = Exclude<RunFrame, { type: 'heartbeat' | 'output' | 'ack' }>;

/** Who does what the verbs ask for. */
export interface RunVerbParts {
  readonly running: Running;
  readonly outputs: Outputs;
  readonly inbox: Inbox;
}

interface RunVerb {
  readonly claim: ClaimPrincipal;
  readonly frame: RunFrame;
  /** What it took on the wire. */
  readonly bytes: number;
}

/** Resolves to what the reply says beside `ok`. */
export async function operateRun(
  { running, outputs, inbox }: RunVerbParts,
  board: BoardRef,
  { claim, frame, bytes }: RunVerb,
): Promise<Readonly<Record<string, unknown>>> {
  if (frame.type === 'heartbeat') {
    const beat = { ...holdOf(claim), claim, body: bodyOf(frame) };
    return { run_id: frame.run_id, ...(await running.heartbeat(board, beat, bytes)) };
  }
  if (frame.type === 'output')
    return { run_id: frame.run_id, ...(await outputs.append(board, claim, frame.lines, bytes)) };
  if (frame.type === 'ack')
    return { run_id: frame.run_id, acknowledged: await inbox.acknowledge(board, claim, frame.ids) };
  const { task, run } = await running.end(board, endOf(claim, frame), bytes);
  return { run_id: run.run_id, outcome: run.outcome, task_status: task.status };
}

function endOf(claim: ClaimPrincipal, frame: EndFrame): RunEnd {
  switch (frame.type) {
    case 'complete':
      return completeEnd(claim, bodyOf(frame));
    case 'block':
      return blockEnd(claim, bodyOf(frame));
    case 'release':
      return releaseEnd(claim, bodyOf(frame));
    case 'fail':
      return failEnd(claim, bodyOf(frame));
    default:
      return unreachable(frame);
  }
}

/** The body alone, so that an end over a socket and over its route are known as the same. */
function bodyOf<T extends RunFrame>({
  type: _type,
  id: _id,
  run_id: _runId,
  token: _token,
  ...body
}: T): Omit<T, 'type' | 'id' | 'run_id' | 'token'> {
  return body;
}
