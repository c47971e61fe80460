/** What every group of calls shares: the transport, and the board that calls go to unless they name another. */
import type { CallOptions, Transport } from '../transport.ts';

export interface BoardCallOptions extends CallOptions {
  /** Default: the client's. */
  readonly board?: string | undefined;
}

export abstract class Resource {
  protected readonly transport: Transport;
  readonly #board: string;

  constructor(transport: Transport, board: string) {
    this.transport = transport;
    this.#board = board;
  }

  protected boardOf(options: BoardCallOptions | undefined): string {
    return options?.board ?? this.#board;
  }
}
