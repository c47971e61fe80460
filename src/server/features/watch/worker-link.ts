/**
 * The worker behind a socket, as the watch sees it. The watch carries its frames and knows nothing of claims; the feature that
 * does is plugged in by compose.ts, because it builds on the watch and not the other way round.
 */
import type { RunFrame, ServerFrame } from '../../../contract/frames.ts';
import type { Uuid } from '../../kernel/ids.ts';
import type { Principal } from '../../kernel/principal.ts';
import type { BoardRef } from '../boards/service.ts';

/** What the socket lends to its worker. */
export interface WorkerPort {
  /** Of this socket alone, on all servers. */
  readonly socketId: Uuid;
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
  readonly version: string | null;
  readonly hasTokens: boolean;
  readonly isCrashOnDisconnect: boolean;
}

/**
 * Why a socket is no longer its workers': `lost` when the peer went or was sent away, `superseded` when a newer socket said hello as the
 * same worker, `stopping` when this server lets go of it for reasons of its own: it stops, has too much to do, or the log was replaced.
 */
export type CloseCause = 'lost' | 'superseded' | 'stopping';

/** Who else wants to know when a socket becomes a worker's, and when it closes: presence, and what workers are to be told. */
export interface WorkerSocketListener {
  /** The hello is answered when all listeners have taken it; what is thrown refuses it. */
  onHello(port: WorkerPort, greeting: WorkerGreeting): Promise<void>;
  /** Called once for every socket that ever sent a frame of a worker, also one that never said hello. Must not throw. */
  onClose(port: WorkerPort, cause: CloseCause): void;
}

export interface WorkerLink {
  /** From now on this socket is that worker of that lane. */
  greet(greeting: WorkerGreeting): Promise<void>;
  /** Resolves to the credits that count, after every claim that was made on earlier ones has been sent. */
  setCredits(lane: string, credits: number): Promise<number>;
  acknowledge(runId: string): void;
  /**
   * A verb of the holder; resolves to what the reply says beside `ok`. Any number may be under way.
   * @param bytes What it took on the wire.
   */
  operate(frame: RunFrame, bytes: number): Promise<Readonly<Record<string, unknown>>>;
  onWritable(): void;
  onClose(cause: CloseCause): void;
}

export type OpenWorkerLink = (port: WorkerPort) => WorkerLink;
