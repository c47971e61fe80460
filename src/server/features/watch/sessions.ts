/** The watch sockets of this server: opened, counted, kept to live credentials, and drained. */
import { CLOSE_CODES } from '../../../contract/constants.ts';
import type { Sql } from '../../db/client.ts';
import { withinDeadline } from '../../db/tx.ts';
import type { Principal } from '../../kernel/principal.ts';
import { ProblemError } from '../../kernel/problem-error.ts';
import type { Admit } from '../../ws/upgrade.ts';
import { authorise } from '../auth/service.ts';
import type { BoardService } from '../boards/service.ts';
import type { BoardConfig, ConfigCache, PresenceTracker } from '../lanes/service.ts';
import type { BoardFeeds } from './service.ts';
import { WatchSession } from './session.ts';
import { countReady } from './store.ts';
import type { OpenWorkerLink } from './worker-link.ts';

interface SessionsParts {
  readonly sql: Sql;
  readonly boards: BoardService;
  readonly feeds: BoardFeeds;
  readonly presence: PresenceTracker;
  readonly configs: ConfigCache;
  readonly openWorker: OpenWorkerLink;
  readonly authenticate: (authorization: string | undefined, remoteAddress: string) => Promise<Principal>;
  /** As authenticate, without counting a refusal as an attack. */
  readonly verify: (authorization: string | undefined) => Promise<Principal>;
  readonly onError: (error: unknown) => void;
}

interface Open {
  readonly session: WatchSession;
  readonly authorization: string | undefined;
}

/** Sockets of one server, at some 20 KiB each. */
const SOCKETS_MAX = 10_000;
/** A hint says how much waits, up to this. */
const HINT_COUNT_MAX = 100;
/** Clients come back over this span instead of all at once. */
const RECONNECT_SPREAD_MS = 2000;

export class WatchSessions {
  readonly #parts: SessionsParts;
  readonly #open = new Set<Open>();
  #isDraining = false;

  constructor(parts: SessionsParts) {
    this.#parts = parts;
  }

  get count(): number {
    return this.#open.size;
  }

  readonly admit: Admit = async ({ board: name, authorization, remoteAddress }) => {
    const { sql, boards, feeds, presence, configs, openWorker, onError } = this.#parts;
    if (this.#isDraining)
      throw new ProblemError('draining', 'This server is shutting down; retry.', {
        headers: { 'Retry-After': '1' },
      });
    const caller = await this.#parts.authenticate(authorization, remoteAddress);
    authorise(caller, 'watch', { board: name });
    const board = await boards.resolve(name);
    if (this.#open.size >= SOCKETS_MAX)
      throw new ProblemError('rate_limited', 'This server has all the sockets it can serve.', {
        headers: { 'Retry-After': '5' },
      });
    // A hint too many does no harm, so memory will do for a yes; only a fresh no is given.
    const isHinted = async (lane: string): Promise<boolean> => {
      const isPulled = (config: BoardConfig | null): boolean => {
        const mode = config?.lanes.get(lane)?.claim_mode;
        return mode !== undefined && mode !== 'push';
      };
      if (isPulled(await configs.get(board.id))) return true;
      return (await configs.refresh(board.id))?.lanes.get(lane)?.claim_mode !== 'push';
    };
    return (connection) => {
      const session = new WatchSession({
        board,
        caller,
        connection,
        feeds,
        countReady: async (lanes) =>
          new Map(
            (await withinDeadline(countReady(sql, board.id, lanes, HINT_COUNT_MAX))).map((row) => [
              row.lane,
              row.ready,
            ]),
          ),
        isHinted,
        openWorker,
        onHello: (lane, worker, version) => presence.see({ boardId: board.id, lane, worker, version }),
        onError,
      });
      const entry = { session, authorization };
      this.#open.add(entry);
      connection.onClose(() => this.#open.delete(entry));
    };
  };

  /** Closes sockets whose credential no longer holds. The authenticator asks the database at most once per key and window. */
  async closeRevoked(): Promise<void> {
    await Promise.all(
      [...this.#open].map(async ({ session, authorization }) => {
        try {
          await this.#parts.verify(authorization);
        } catch (error) {
          const isRefused =
            error instanceof ProblemError &&
            (error.code === 'unauthenticated' || error.code === 'token_expired');
          if (isRefused)
            session.end(CLOSE_CODES.unauthenticated, 'the credential was revoked or has expired');
          else this.#parts.onError(error); // The database is away: nothing is known, so nothing is closed.
        }
      }),
    );
  }

  drain(): void {
    this.#isDraining = true;
    for (const { session } of this.#open) session.drain(Math.round(Math.random() * RECONNECT_SPREAD_MS));
  }
}
