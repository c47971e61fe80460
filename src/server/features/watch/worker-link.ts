/**
 * The worker behind a socket, as the watch sees it. The watch carries its frames and knows nothing of claims; the feature that
 * does is plugged in by compose.ts, because it builds on the watch and not the other way round.
 */
import type { RunFrame, ServerFrame } from '../../../contract/frames.ts';
import type { Principal } from '../../kernel/principal.ts';
import type { BoardRef } from '../boards/service.ts';

/** What the socket lends to its worker. */
export interface WorkerPort {
  readonly board: BoardRef;
  readonly caller: Principal;
  /** Taken whatever lies unsent: nothing is claimed for a socket without room, and what is under way by then has a bound. */
  send(frame: ServerFrame): void;
  /** False: nothing should be claimed for this socket until onWritable. */
  hasRoom(): boolean;
  end(code: number, reason: string): void;
}

/** A hello that was allowed. */
export interface WorkerGreeting {
  readonly lane: string;
  readonly worker: string;
  readonly hasTokens: boolean;
}

export interface WorkerLink {
  /** From now on this socket is that worker of that lane. */
  greet(greeting: WorkerGreeting): void;
  /** Resolves to the credits that count, after every claim that was made on earlier ones has been sent. */
  setCredits(lane: string, credits: number): Promise<number>;
  acknowledge(runId: string): void;
  /**
   * A verb of the holder; resolves to what the reply says beside `ok`. Any number may be under way.
   * @param bytes What it took on the wire.
   */
  operate(frame: RunFrame, bytes: number): Promise<Readonly<Record<string, unknown>>>;
  onWritable(): void;
  onClose(): void;
}

export type OpenWorkerLink = (port: WorkerPort) => WorkerLink;
