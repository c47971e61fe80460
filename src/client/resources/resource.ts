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

/** A page of a list: the wire's plural noun beside the token of the next page. */
interface Page {
  readonly next_page_token: string | null;
}

/** Follows next_page_token to the end, or until the caller stops iterating. */
export async function* followPages<P extends Page>(
  read: (pageToken: string | undefined) => Promise<P>,
): AsyncGenerator<P, void, undefined> {
  let pageToken: string | undefined;
  do {
    const page = await read(pageToken);
    yield page;
    pageToken = page.next_page_token ?? undefined;
  } while (pageToken !== undefined);
}
