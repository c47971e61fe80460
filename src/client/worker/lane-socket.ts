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
  #close = new AbortController();
  #listening: Promise<void> = Promise.resolve();
  #isListening = false;
  #mode: ClaimMode = 'pull';
  #link: PushLink | null = null;
  #linkFailure: unknown;

  constructor(options: LaneSocketOptions, events: LaneSocketEvents) {
    this.#options = options;
    this.#events = events;
  }

  /** Stays open whatever the mode becomes later: it hears of cancels in every mode. But an ear is no link. */
  async open(mode: Exclude<ClaimMode, 'pull'>): Promise<void> {
    this.#mode = mode;
    const needsLink = mode === 'push';
    if (this.#isListening && needsLink === (this.#link !== null)) return;
    await this.close();
    this.#close = new AbortController();
    this.#isListening = true;
    if (needsLink) this.#startLink();
    else this.#listening = this.#listen();
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

  async close(): Promise<void> {
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
    this.#listening = link
      .run(this.#close.signal)
      .catch((error: unknown) => this.#onLinkGone(error))
      .finally(() => running.line.use(null));
  }

  #onLinkGone(error: unknown): void {
    if (this.#isSuperseded(error)) return;
    this.#linkFailure = error;
    this.#events.onLinkEnded();
  }

  #listen(): Promise<void> {
    const { client, lane, worker, version } = this.#options;
    const { running, onWork, onReplaced } = this.#events;
    const listener: EarListener = {
      onWork,
      onRunChanged: (runId) => running.hurry(runId),
      onCancel: (runId) => running.stop(runId, { kind: 'cancel_requested' }),
      onSteer: (runId, message) => running.tell(runId, message),
      onTakenOver: (taker) => {
        running.hurry();
        onReplaced('taken_over', `worker ${taker} has taken lane ${lane} over`);
      },
      onConnected: () => {
        onWork();
        running.hurry();
      },
      onGone: (error) => this.#onEarGone(error),
    };
    return listenToLane(client, { lane, worker, version }, listener, this.#close.signal);
  }

  #onEarGone(error: unknown): void {
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
