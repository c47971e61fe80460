/** The event streams of this server: opened within their bounds, counted, kept to live credentials and their rights, and drained. */
import type { Answer } from '../../http/exchange.ts';
import { actorOf, type Principal } from '../../kernel/principal.ts';
import { ProblemError } from '../../kernel/problem-error.ts';
import { Rounds } from '../../kernel/rounds.ts';
import { authorise } from '../auth/service.ts';
import type { BoardRef } from '../boards/service.ts';
import { EventStream } from './event-stream.ts';
import { noPlace, OPEN_PER_RUN_MAX, SIGN_OF_LIFE_INTERVAL_MS } from './live-bounds.ts';
import type { BoardFeeds } from './service.ts';
import { type EventFilter, sharedFilter } from './view.ts';

interface StreamsParts {
  readonly feeds: BoardFeeds;
  /** Looks at all of these credentials that are due, in one statement; what `verify` says is then known. */
  readonly refresh: (authorizations: readonly (string | undefined)[]) => Promise<void>;
  readonly onError: (error: unknown) => void;
}

interface StreamRequest {
  readonly board: BoardRef;
  readonly caller: Principal;
  readonly filter: EventFilter;
  readonly after: string | null;
  readonly authorization: string | undefined;
  /** The caller as it is now; rejects once its credential no longer holds. */
  readonly verify: () => Promise<Principal>;
}

interface Open {
  readonly stream: EventStream;
  readonly principalId: string;
  readonly authorization: string | undefined;
  readonly verify: StreamRequest['verify'];
}

/** At up to some 200 KiB unsent each, should all of their clients stop reading at once. */
const STREAMS_MAX = 2000;
/** Of one key: a tenth of what there is, so that none can take all of it. */
const STREAMS_PER_KEY_MAX = 200;

export class EventStreams {
  readonly #parts: StreamsParts;
  readonly #open = new Set<Open>();
  readonly #rounds = new Rounds<EventStream>({
    intervalMs: SIGN_OF_LIFE_INTERVAL_MS,
    visit: (stream) => stream.tick(),
  });
  #isDraining = false;

  constructor(parts: StreamsParts) {
    this.#parts = parts;
  }

  get count(): number {
    return this.#open.size;
  }

  /** The answer, or why there is none: everything that can be refused is refused before the stream begins. */
  async answer({ board, caller, filter, after, authorization, verify }: StreamRequest): Promise<Answer> {
    const principalId = actorOf(caller).id;
    this.#assertPlace(principalId, caller.kind);
    const stream = new EventStream({
      ...this.#parts,
      board,
      filter: sharedFilter(filter),
      onClose: () => {
        this.#open.delete(entry);
        this.#rounds.remove(stream);
      },
    });
    const entry = { stream, principalId, authorization, verify };
    this.#open.add(entry);
    this.#rounds.add(stream);
    const place = await stream.start(after);
    return {
      status: 200,
      stream: { contentType: 'text/event-stream', begin: (outlet) => stream.begin(outlet, place) },
    };
  }

  #assertPlace(principalId: string, kind: Principal['kind']): void {
    if (this.#isDraining)
      throw new ProblemError('draining', 'This server is shutting down; retry.', {
        headers: { 'Retry-After': '1' },
      });
    if (this.#open.size >= STREAMS_MAX) throw noPlace('This server has all the event streams it can serve.');
    let taken = 0;
    for (const entry of this.#open) if (entry.principalId === principalId) taken += 1;
    const most = kind === 'key' ? STREAMS_PER_KEY_MAX : OPEN_PER_RUN_MAX;
    if (taken >= most)
      throw noPlace(
        `This ${kind === 'key' ? 'key' : 'claim token'} has ${most} event streams open on this server.`,
      );
  }

  /** Ends those whose credential no longer holds, or no longer covers their board: all that are due are looked at in one statement. */
  async closeRevoked(): Promise<void> {
    if (this.#open.size === 0) return;
    await this.#parts.refresh([...this.#open].map(({ authorization }) => authorization));
    await Promise.all([...this.#open].map((entry) => this.#recheck(entry)));
  }

  async #recheck({ stream, verify }: Open): Promise<void> {
    try {
      authorise(await verify(), 'listEvents', { board: stream.board.name });
    } catch (error) {
      // Without a problem of the caller's the database is away: nothing is known, so nothing is ended.
      if (error instanceof ProblemError && error.status < 500) stream.end();
      else this.#parts.onError(error);
    }
  }

  drain(): void {
    this.#isDraining = true;
    for (const { stream } of [...this.#open]) stream.end();
  }
}
