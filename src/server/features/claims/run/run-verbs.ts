/**
 * The verbs of a holder: the one place that knows who does what they ask for, whichever way they came in. Each may come over its route,
 * in a batch, or in a frame of a socket; what an answer shows of the outcome is for those who carry it.
 */
import type { MessagesAckBody } from '../../../../contract/messages.ts';
import type { OutputBody } from '../../../../contract/outputs.ts';
import type {
  BlockBody,
  CompleteBody,
  FailBody,
  HeartbeatBody,
  ReleaseBody,
  RequestChangesBody,
} from '../../../../contract/runs.ts';
import { unreachable } from '../../../kernel/assert.ts';
import type { ClaimPrincipal } from '../../../kernel/principal.ts';
import type { BoardRef } from '../../boards/service.ts';
import type { Outputs } from '../output/outputs.ts';
import type { Inbox } from '../steering/inbox.ts';
import { blockEnd, completeEnd, failEnd, holdOf, releaseEnd, requestChangesEnd } from './run-operation.ts';
import type { Running } from './running.ts';

/** A verb and its body: the body alone, so that the same end is known again whichever way it comes. */
export type RunCall =
  | { readonly verb: 'heartbeat'; readonly body: HeartbeatBody }
  | { readonly verb: 'complete'; readonly body: CompleteBody }
  | { readonly verb: 'request-changes'; readonly body: RequestChangesBody }
  | { readonly verb: 'block'; readonly body: BlockBody }
  | { readonly verb: 'release'; readonly body: ReleaseBody }
  | { readonly verb: 'fail'; readonly body: FailBody }
  | { readonly verb: 'output'; readonly body: OutputBody }
  | { readonly verb: 'ack'; readonly body: MessagesAckBody };

/** Who does what the verbs ask for. */
export interface RunVerbParts {
  readonly running: Running;
  readonly outputs: Outputs;
  readonly inbox: Inbox;
}

/** @param bytes What it took on the wire. */
export function operateRun(
  { running, outputs, inbox }: RunVerbParts,
  board: BoardRef,
  claim: ClaimPrincipal,
  call: RunCall,
  bytes: number,
) {
  switch (call.verb) {
    case 'heartbeat':
      return running.heartbeat(board, { ...holdOf(claim), claim, body: call.body }, bytes);
    case 'complete':
      return running.end(board, completeEnd(claim, call.body), bytes);
    case 'request-changes':
      return running.end(board, requestChangesEnd(claim, call.body), bytes);
    case 'block':
      return running.end(board, blockEnd(claim, call.body), bytes);
    case 'release':
      return running.end(board, releaseEnd(claim, call.body), bytes);
    case 'fail':
      return running.end(board, failEnd(claim, call.body), bytes);
    case 'output':
      return outputs.append(board, claim, call.body.lines, bytes);
    case 'ack':
      return inbox.acknowledge(board, claim, call.body.ids).then((acknowledged) => ({ acknowledged }));
    default:
      return unreachable(call);
  }
}
