/**
 * What the server says over a push link, and who is told: claims and replies their own pieces, the rest whoever holds the claims. Frames about a
 * claim that has come in the same chunk follow it, so it is handed on before them. Sends nothing, and decides nothing about the link.
 */
import type { PushedClaim, ServerFrame } from '../../contract/frames.ts';
import { errorOfProblem, type LanekeeperError, parseObject } from '../errors.ts';
import type { PushArrivals } from './push-arrivals.ts';
import type { PushGrants } from './push-grants.ts';
import type { PushOptions } from './push-options.ts';
import type { PushRequests } from './push-requests.ts';

interface PushHearingParts {
  readonly options: Pick<PushOptions, 'onCancel' | 'onSteer' | 'onClaimLost' | 'onTakenOver'>;
  readonly arrivals: PushArrivals;
  readonly grants: PushGrants;
  readonly requests: PushRequests;
  /** Our hello was answered. */
  readonly onGreeted: () => void;
  /** There may be credits to send: those that were sent are answered. */
  readonly onGranted: () => void;
  /** The hello, or the socket itself. */
  readonly onRefused: (error: LanekeeperError) => void;
  readonly onDrain: (reconnectAfterMs: number) => void;
}

/** Of the frame that says hello. */
export const HELLO_ID = 'hello';

export class PushHearing {
  readonly #parts: PushHearingParts;

  constructor(parts: PushHearingParts) {
    this.#parts = parts;
  }

  hear(data: unknown): void {
    const frame = typeof data === 'string' ? parseObject(data) : undefined;
    // Frame types that this version does not know are left alone, as the contract asks.
    if (frame !== undefined) this.#handle(frame as unknown as ServerFrame);
  }

  #handle(frame: ServerFrame): void {
    const { options, arrivals, onDrain } = this.#parts;
    switch (frame.type) {
      case 'claim':
        this.#take(frame.claim);
        return;
      case 'reply':
        this.#takeReply(frame);
        return;
      case 'cancel':
        arrivals.pass();
        options.onCancel?.(frame);
        return;
      case 'steer':
        arrivals.pass();
        options.onSteer?.(frame);
        return;
      case 'error':
        this.#takeError(frame);
        return;
      case 'taken_over':
        options.onTakenOver?.(frame.worker);
        return;
      case 'drain':
        onDrain(frame.reconnect_after_ms);
        return;
      default:
        return;
    }
  }

  #take(claim: PushedClaim): void {
    this.#parts.grants.onClaim();
    this.#parts.arrivals.add(claim);
  }

  #takeReply(frame: Extract<ServerFrame, { type: 'reply' }>): void {
    const { grants, requests, onGreeted, onGranted } = this.#parts;
    if (frame.id === HELLO_ID) onGreeted();
    else if (grants.onReply(frame.id)) onGranted();
    else requests.onReply(frame);
  }

  #takeError(frame: Extract<ServerFrame, { type: 'error' }>): void {
    const { options, arrivals, grants, onRefused } = this.#parts;
    const error = errorOfProblem(frame);
    if (frame.fatal || frame.id === HELLO_ID) onRefused(error);
    else if (frame.run_id !== undefined) {
      arrivals.pass();
      options.onClaimLost?.(frame.run_id, error);
    } else grants.onError(frame.id, error);
  }
}
