/**
 * The one socket on which a worker is its lane's: in push mode the link over which work comes, otherwise an ear for hints. Never both, for
 * of two sockets of one worker the newer sends the older away. What it hears of runs it passes on to them.
 */
import type { PushedClaim } from '../../contract/frames.ts';
import type { ClaimMode } from '../../contract/lanes.ts';
import { LanekeeperError } from '../errors.ts';
import { type EarListener, listenToLane } from './lane-ear.ts';
import { messageOf } from './plain-text.ts';
import { PushLink } from './push-link.ts';
import type { RunningClaims } from './running-claims.ts';
import { within } from './waiting.ts';
import type { WorkerClient } from './worker-client.ts';
import type { Replacement } from './worker-error.ts';
import type { WorkerLog } from './worker-log.ts';

interface LaneSocketOptions {
  readonly client: WorkerClient;
  readonly lane: string;
  readonly worker: string;
  readonly version?: string | undefined;
  readonly tokens?: boolean | undefined;
  readonly log: WorkerLog;
}

interface LaneSocketEvents {
  readonly running: RunningClaims;
  readonly onWork: () => void;
  readonly onClaim: (claim: PushedClaim) => void;
  readonly onReplaced: (how: Replacement, reason: string) => void;
  /** The worker cannot go on without it. */
  readonly onFailed: (error: unknown) => void;
  /** The link is no more: see throwIfEnded(). */
  readonly onLinkEnded: () => void;
  readonly onAway: (error: unknown) => void;
  readonly onBack: () => void;
}

/** On leaving: one round trip, to know that no claim comes any more. */
const STOP_CLAIMS_MS = 2_000;

export class LaneSocket {
  readonly #options: LaneSocketOptions;
  readonly #events: LaneSocketEvents;
  /** Of the socket there is: fires when it is to be closed. */
  #close = new AbortController();
  #listening: Promise<void> = Promise.resolve();
  #isListening = false;
  /** null: it is to be closed. */
  #mode: ClaimMode | null = null;
  #link: PushLink | null = null;
  #linkFailure: unknown;
  /** One change after the other. */
  #changing: Promise<void> = Promise.resolve();

  constructor(options: LaneSocketOptions, events: LaneSocketEvents) {
    this.#options = options;
    this.#events = events;
  }

  /** What serves this mode. An ear stays open also in pull mode, where it hears of cancels. */
  open(mode: ClaimMode): Promise<void> {
    this.#mode = mode;
    return this.#change();
  }

  /** A run has ended: the link may have stayed only because that one could not do without. */
  onFree(): void {
    if (this.#link !== null && this.#isLinkUnwanted && !this.#events.running.needsSocket) void this.#change();
  }

  /** Claims come. */
  get isLive(): boolean {
    return this.#link?.state === 'live';
  }

  /** How many more claims would be taken now. */
  setRoom(count: number): void {
    this.#link?.setCredits(count);
  }

  /** Resolves when no claim comes any more, or soon. */
  async stopClaims(): Promise<void> {
    if (this.#link !== null) await within(this.#link.stopClaims(), STOP_CLAIMS_MS);
  }

  /** What ended the link, unless it was we. */
  throwIfEnded(): void {
    if (this.#linkFailure !== undefined) throw this.#linkFailure;
  }

  close(): Promise<void> {
    this.#mode = null;
    return this.#change();
  }

  get #isLinkUnwanted(): boolean {
    return this.#mode !== null && this.#mode !== 'push';
  }

  /** Never rejects. */
  #change(): Promise<void> {
    this.#changing = this.#changing.then(() => this.#fit());
    return this.#changing;
  }

  async #fit(): Promise<void> {
    const hasLink = this.#link !== null;
    if (this.#mode === 'push') {
      if (hasLink && this.#linkFailure === undefined) return;
    } else if (this.#mode !== null) {
      // Claims without a token have nobody else to speak for them; the last of them takes the link with it.
      if (hasLink && this.#events.running.needsSocket) return;
      if (!hasLink && (this.#isListening || this.#mode === 'pull')) return;
    }
    await this.#closeSocket();
    if (this.#mode === null || this.#mode === 'pull') return;
    this.#close = new AbortController();
    this.#isListening = true;
    if (this.#mode === 'push') this.#startLink();
    else this.#listening = this.#listen(this.#close);
  }

  async #closeSocket(): Promise<void> {
    this.#close.abort();
    await this.#listening;
    this.#isListening = false;
    this.#link = null;
  }

  #startLink(): void {
    const { client, lane, worker, version, tokens } = this.#options;
    const { running, onClaim, onAway, onBack } = this.#events;
    const { transport, board, webSocket } = client;
    const link = new PushLink(
      { transport, board, webSocket },
      {
        lane,
        worker,
        version,
        tokens,
        onClaim,
        onCancel: (frame) => running.stop(frame.run_id, { kind: 'cancel_requested' }),
        onSteer: (frame) => running.tell(frame.run_id, frame.message),
        onClaimLost: (runId) => running.hurry(runId),
        onCreditsEnded: (error) => this.#failLink(link, error),
        onTakenOver: (taker) => this.#onTakenOver(taker),
        onConnectFailure: onAway,
        onState: (state) => {
          if (state !== 'live') return;
          onBack();
          running.hurry();
        },
      },
    );
    this.#link = link;
    this.#linkFailure = undefined;
    running.line.use(link);
    const close = this.#close;
    this.#listening = link.run(close.signal).then(
      () => running.line.use(null),
      (error: Error) => this.#onLinkGone(link, error),
    );
  }

  /** No claim comes over it any more. What is held may go on speaking over it. */
  #failLink(link: PushLink, error: unknown): void {
    if (this.#link !== link) return;
    this.#linkFailure = error;
    this.#events.onLinkEnded();
  }

  #onLinkGone(link: PushLink, error: Error): void {
    const { running } = this.#events;
    const isSuperseded = this.#isSuperseded(error);
    if (!isSuperseded) this.#failLink(link, error);
    this.#link = null;
    this.#isListening = false;
    running.line.giveUp(error);
    // It had stayed for claims alone; else whoever has the name now would be sent away in turn.
    if (this.#isLinkUnwanted && !isSuperseded) void this.#change();
    // Those without a token hear at once that nobody can speak for them.
    running.hurry();
  }

  #onTakenOver(taker: string): void {
    if (taker === this.#options.worker) return;
    this.#events.running.hurry();
    this.#events.onReplaced('taken_over', `worker ${taker} has taken lane ${this.#options.lane} over`);
  }

  #listen(close: AbortController): Promise<void> {
    const { client, lane, worker, version } = this.#options;
    const { running, onWork } = this.#events;
    const listener: EarListener = {
      onWork,
      onRunChanged: (runId) => running.hurry(runId),
      onCancel: (runId) => running.stop(runId, { kind: 'cancel_requested' }),
      onSteer: (runId, message) => running.tell(runId, message),
      onTakenOver: (taker) => this.#onTakenOver(taker),
      onConnected: () => {
        onWork();
        running.hurry();
      },
      onGone: (error) => this.#onEarGone(close, error),
    };
    return listenToLane(client, { lane, worker, version }, listener, close.signal);
  }

  #onEarGone(close: AbortController, error: unknown): void {
    if (this.#close === close) this.#isListening = false;
    if (this.#isSuperseded(error)) return;
    if (this.#mode === 'watch') {
      this.#events.onFailed(error);
      return;
    }
    this.#options.log.warn(
      `no live hints (${messageOf(error)}); going on with long polls, a cancel takes a heartbeat to arrive`,
    );
  }

  #isSuperseded(error: unknown): boolean {
    if (!(error instanceof LanekeeperError) || error.code !== 'superseded') return false;
    const { lane, worker } = this.#options;
    this.#events.onReplaced(
      'superseded',
      `another process is worker ${worker} of lane ${lane} now; each needs a name of its own`,
    );
    return true;
  }
}
