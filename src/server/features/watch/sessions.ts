/** The watch sockets of this server: admitted, counted, kept to live credentials and their rights, and drained. */
import { CLOSE_CODES } from '../../../contract/constants.ts';
import type { Sql } from '../../db/client.ts';
import { withinDeadline } from '../../db/tx.ts';
import { actorOf, type Principal } from '../../kernel/principal.ts';
import { ProblemError } from '../../kernel/problem-error.ts';
import { Rounds } from '../../kernel/rounds.ts';
import type { Admission, Admit } from '../../ws/upgrade.ts';
import { authorise } from '../auth/service.ts';
import type { BoardRef, BoardService } from '../boards/service.ts';
import type { ConfigCache, PresenceTracker } from '../lanes/service.ts';
import { LaneHints } from './hints.ts';
import { noPlace, OPEN_PER_RUN_MAX, RECONNECT_SPREAD_MS, SIGN_OF_LIFE_INTERVAL_MS } from './live-bounds.ts';
import type { FollowOutput } from './output-link.ts';
import type { BoardFeeds } from './service.ts';
import { type SessionServices, WatchSession } from './session.ts';
import { countReady } from './store.ts';
import { WatchPlaces } from './watch-places.ts';
import type { OpenWorkerLink } from './worker-link.ts';

interface SessionsParts {
  readonly sql: Sql;
  readonly boards: BoardService;
  readonly feeds: BoardFeeds;
  readonly presence: PresenceTracker;
  readonly configs: ConfigCache;
  readonly openWorker: OpenWorkerLink;
  readonly followOutput: FollowOutput;
  readonly authenticate: (authorization: string | undefined, remoteAddress: string) => Promise<Principal>;
  /** As authenticate, without counting a refusal as an attack. */
  readonly verify: (authorization: string | undefined) => Promise<Principal>;
  /** Looks at all of them that are due, in one statement; what verify says is then known. */
  readonly refresh: (authorizations: readonly Credential[]) => Promise<void>;
  /** Rejects when the principal has used up its share; null: there are no shares. */
  readonly limit: SessionServices['limit'];
  /** Somebody may not open a socket, or not say on it what it said. */
  readonly onRefused: (caller: Principal, refused: RefusedSocket) => void;
  /** A socket has closed; left out: nobody asks. */
  readonly onClosed?: ((board: string, seconds: number) => void) | undefined;
  readonly onError: (error: unknown) => void;
}

interface RefusedSocket {
  readonly error: unknown;
  /** As the path has it. */
  readonly board: string;
  readonly remoteAddress: string;
}

type Credential = string | undefined;

/** Sockets of one server, at some 20 KiB each. */
const SOCKETS_MAX = 10_000;
/** Of one key: a large fleet under the key of its lane, and a tenth of what there is, so that none can take all of it. */
const SOCKETS_PER_KEY_MAX = 1000;
/** A hint says how much waits, up to this. */
const HINT_COUNT_MAX = 100;

export class WatchSessions {
  readonly #parts: SessionsParts;
  readonly #services: SessionServices;
  /** By credential, because they live and die by it. */
  readonly #open = new Map<Credential, Set<WatchSession>>();
  readonly #rounds = new Rounds<WatchSession>({
    intervalMs: SIGN_OF_LIFE_INTERVAL_MS,
    visit: (session) => session.tick(),
  });
  /** Places taken, in all and by the id of the key or run. */
  readonly #places = new Map<string, number>();
  #count = 0;
  #isDraining = false;

  constructor(parts: SessionsParts) {
    const { sql, feeds, configs, presence, openWorker, followOutput, limit, onError } = parts;
    this.#parts = parts;
    this.#services = {
      feeds,
      hints: new LaneHints({
        feeds,
        readConfig: (board) => configs.refresh(board.id),
        countReady: async (board, lanes) => {
          const rows = await withinDeadline(countReady(sql, board.id, lanes, HINT_COUNT_MAX));
          return new Map(rows.map((row) => [row.lane, row.ready]));
        },
        onError,
      }),
      places: new WatchPlaces(),
      mayBeHinted: (board, lane) => this.#mayBeHinted(board, lane),
      onHello: (board, lane, worker, version) => presence.see({ boardId: board.id, lane, worker, version }),
      openWorker,
      followOutput,
      limit,
      onError,
    };
  }

  get count(): number {
    return this.#count;
  }

  readonly admit: Admit = async ({ board: name, authorization, remoteAddress }) => {
    this.#assertNotDraining();
    const caller = await this.#parts.authenticate(authorization, remoteAddress);
    if (this.#parts.limit !== null) await this.#parts.limit(caller);
    try {
      authorise(caller, 'watch', { board: name });
    } catch (error) {
      this.#parts.onRefused(caller, { error, board: name, remoteAddress });
      throw error;
    }
    const board = await this.#parts.boards.resolve(name);
    // What came before a drain has waited for the database since; the drain has not seen it, and would wait for its socket for ever.
    this.#assertNotDraining();
    const { id } = actorOf(caller);
    this.#takePlace(id, caller.kind);
    const admission: Admission = {
      withdraw: () => this.#leavePlace(id),
      open: (connection) => {
        const onRefused = (error: unknown): void =>
          this.#parts.onRefused(caller, { error, board: board.name, remoteAddress });
        const session = new WatchSession(this.#services, { board, caller, connection, onRefused });
        const openedAtMs = performance.now();
        const group = this.#open.get(authorization) ?? new Set();
        this.#open.set(authorization, group.add(session));
        this.#rounds.add(session);
        connection.onClose(() => {
          this.#forget(session, authorization);
          this.#parts.onClosed?.(board.name, (performance.now() - openedAtMs) / 1000);
        });
        if (this.#isDraining) session.drain(Math.round(Math.random() * RECONNECT_SPREAD_MS));
      },
    };
    return admission;
  };

  #assertNotDraining(): void {
    if (this.#isDraining)
      throw new ProblemError('draining', 'This server is shutting down; retry.', {
        headers: { 'Retry-After': '1' },
      });
  }

  /** Taken before the handshake ends: a thousand sockets that come at once must not all be let in by the last free place. */
  #takePlace(id: string, kind: Principal['kind']): void {
    if (this.#count >= SOCKETS_MAX) throw noPlace('This server has all the sockets it can serve.');
    const taken = this.#places.get(id) ?? 0;
    const most = kind === 'key' ? SOCKETS_PER_KEY_MAX : OPEN_PER_RUN_MAX;
    if (taken >= most)
      throw noPlace(
        `This ${kind === 'key' ? 'key' : 'claim token'} has ${most} sockets open on this server.`,
      );
    this.#places.set(id, taken + 1);
    this.#count += 1;
  }

  #leavePlace(id: string): void {
    const left = (this.#places.get(id) ?? 0) - 1;
    if (left > 0) this.#places.set(id, left);
    else this.#places.delete(id);
    this.#count -= 1;
  }

  #forget(session: WatchSession, credential: Credential): void {
    this.#leavePlace(actorOf(session.caller).id);
    this.#rounds.remove(session);
    const group = this.#open.get(credential);
    group?.delete(session);
    if (group?.size === 0) this.#open.delete(credential);
  }

  /** To follow a log in vain does no harm, so memory will do for a yes; only a fresh no is given. */
  async #mayBeHinted(board: BoardRef, lane: string): Promise<boolean> {
    const { configs } = this.#parts;
    const known = (await configs.get(board.id))?.lanes.get(lane);
    if (known !== undefined && known.claim_mode !== 'push') return true;
    return (await configs.refresh(board.id))?.lanes.get(lane)?.claim_mode !== 'push';
  }

  /**
   * Closes sockets whose credential no longer holds, or no longer covers their board. Each credential is looked at once, and all that are
   * due in one statement: a thousand keys with a statement each were most of what an idle server asked its database.
   */
  async closeRevoked(): Promise<void> {
    if (this.#open.size === 0) return;
    await this.#parts.refresh([...this.#open.keys()]);
    await Promise.all([...this.#open].map(([credential, sessions]) => this.#recheck(credential, sessions)));
  }

  async #recheck(credential: Credential, sessions: ReadonlySet<WatchSession>): Promise<void> {
    try {
      const caller = await this.#parts.verify(credential);
      for (const session of [...sessions])
        if (!isAllowed(caller, session.board))
          session.end(CLOSE_CODES.forbidden, 'the credential no longer covers this board');
    } catch (error) {
      const isRefused =
        error instanceof ProblemError && (error.code === 'unauthenticated' || error.code === 'token_expired');
      if (!isRefused)
        this.#parts.onError(error); // The database is away: nothing is known, so nothing is closed.
      else
        for (const session of [...sessions])
          session.end(CLOSE_CODES.unauthenticated, 'the credential was revoked or has expired');
    }
  }

  drain(): void {
    this.#isDraining = true;
    for (const sessions of this.#open.values())
      for (const session of sessions) session.drain(Math.round(Math.random() * RECONNECT_SPREAD_MS));
  }
}

function isAllowed(caller: Principal, board: BoardRef): boolean {
  try {
    authorise(caller, 'watch', { board: board.name });
    return true;
  } catch {
    return false;
  }
}
