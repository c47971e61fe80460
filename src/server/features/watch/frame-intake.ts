/**
 * What comes in over one socket: read from its text, held back while too much of it waits or the peer does not read what it is told, and
 * handed on in an order that is right. Frames that change what the socket follows, or as whom it speaks, are handled one after the
 * other. The verbs of a worker run side by side, or they could never be gathered into one statement. In one long queue a slow watch would
 * stand before a claim_ack.
 */
import type { ClientFrame } from '../../../contract/frames.ts';
import type { Connection } from '../../ws/connection.ts';
import { type ReadFrame, readFrame } from './client-frame.ts';

/**
 * Frames and bytes that wait to be handled. Above either the peer is not read until some have been: what it sends meanwhile waits on its
 * own side. A worker may well end a thousand claims at once, so this is no reason to end its socket.
 */
const PENDING_FRAMES_MAX = 1000;
const PENDING_BYTES_MAX = 2 * 1024 * 1024;

type Manner = 'in turn' | 'side by side' | 'at once';

const MANNERS: Readonly<Record<ClientFrame['type'], Manner>> = {
  watch: 'in turn',
  unwatch: 'in turn',
  hello: 'in turn',
  credit: 'in turn',
  // It has five seconds, and needs nothing that came before it.
  claim_ack: 'at once',
  heartbeat: 'side by side',
  complete: 'side by side',
  'request-changes': 'side by side',
  block: 'side by side',
  release: 'side by side',
  fail: 'side by side',
  // Lines keep their order.
  output: 'in turn',
  ack: 'side by side',
};

export class FrameIntake {
  readonly #connection: Connection;
  readonly #handle: (read: ReadFrame) => Promise<void>;
  #lastInTurn: Promise<void> = Promise.resolve();
  #inTurn = 0;
  #pendingFrames = 0;
  #pendingBytes = 0;
  #isHeldBack = false;

  /** @param handle Never rejects. */
  constructor(connection: Connection, handle: (read: ReadFrame) => Promise<void>) {
    this.#connection = connection;
    this.#handle = handle;
    connection.onMessage((text, bytes) => void this.#receive(text, bytes));
  }

  /** The peer has read enough to be read again. */
  onWritable(): void {
    this.#holdBack();
  }

  async #receive(text: string, bytes: number): Promise<void> {
    this.#pendingFrames += 1;
    this.#pendingBytes += bytes;
    this.#holdBack();
    await this.#pass(readFrame(text, bytes));
    this.#pendingFrames -= 1;
    this.#pendingBytes -= bytes;
    this.#holdBack();
  }

  #pass(read: ReadFrame): Promise<void> {
    const manner = read.kind === 'frame' ? MANNERS[read.frame.type] : 'in turn';
    // With nothing before it, a frame of any manner starts now. A verb after a hello may need it.
    if (manner === 'at once' || (manner === 'side by side' && this.#inTurn === 0)) return this.#handle(read);
    if (manner === 'side by side') return this.#lastInTurn.then(() => this.#handle(read));
    this.#inTurn += 1;
    this.#lastInTurn = this.#lastInTurn
      .then(() => this.#handle(read))
      .then(() => {
        this.#inTurn -= 1;
      });
    return this.#lastInTurn;
  }

  #holdBack(): void {
    const { isOpen } = this.#connection;
    const isBehind =
      this.#pendingFrames >= PENDING_FRAMES_MAX ||
      this.#pendingBytes >= PENDING_BYTES_MAX ||
      // Every frame has an answer, so a peer that does not read must not be read either. A closing one is dropped, not answered.
      (isOpen && !this.#connection.hasRoom());
    if (isBehind === this.#isHeldBack) return;
    this.#isHeldBack = isBehind;
    this.#connection.setReading(!isBehind);
  }
}
