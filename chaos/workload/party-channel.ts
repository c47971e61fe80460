/** What a process of the load is told by the one that started it, and what it tells. */
import { setMaxListeners } from 'node:events';

export interface LanePlan {
  readonly name: string;
  readonly claimMode: 'pull' | 'pull-or-watch' | 'watch' | 'push';
  readonly leaseSeconds: number;
  readonly key: string;
}

/** The first message. */
export interface PartyConfig {
  readonly process: string;
  readonly seed: number;
  readonly directory: string;
  readonly board: string;
  /** Of the servers' proxies. */
  readonly urls: readonly string[];
  readonly lanes: readonly LanePlan[];
  /** One of the lanes: what reviewers wait on. */
  readonly reviewLane: string;
  readonly probeLane: LanePlan;
  /** Where replies are made. */
  readonly synthesizerLane: LanePlan;
  readonly orchestratorKey: string;
  readonly observerKey: string;
  readonly hasTakeover: boolean;
  /** How long there is load. */
  readonly seconds: number;
  /** Of orchestrators: how many to make in that time. */
  readonly delegations: number;
  /** Of watchers: how they watch. */
  readonly way?: 'socket' | 'stream' | 'poll';
  /** Of those that watch a board which prunes: how long they may be away; absent: they are there all the time. */
  readonly pauseSecondsMax?: number;
}

/** quiet: begin nothing new. leave: end as soon as what is held is over. report: say how far you have come. */
export type PartyOrder = { readonly order: 'quiet' | 'leave' | 'report' };

/** joined: it is about to begin. seq: how far a watcher has come. holding: how much it has been given and is not done with. */
export type PartyMessage =
  | { readonly told: 'joined' }
  | { readonly told: 'seq'; readonly seq: number }
  | { readonly told: 'holding'; readonly count: number };

export function tell(message: PartyMessage): void {
  process.send?.(message);
}

export interface PartyChannel {
  readonly config: PartyConfig;
  /** Fires at "quiet" and at "leave". */
  readonly quiet: AbortSignal;
  readonly leaving: AbortSignal;
  onReport(say: () => PartyMessage): void;
}

/** Joins the run; ends this process when the one that started it is gone. */
export function joinRun(): Promise<PartyChannel> {
  const quiet = new AbortController();
  const leaving = new AbortController();
  // As many as there are pauses and requests under way.
  setMaxListeners(0, quiet.signal, leaving.signal);
  let report: (() => PartyMessage) | undefined;
  process.on('disconnect', () => process.exit(1));
  return new Promise((resolve) => {
    process.on('message', (message: PartyConfig | PartyOrder) => {
      if ('process' in message) {
        const onReport = (say: () => PartyMessage): void => {
          report = say;
        };
        tell({ told: 'joined' });
        resolve({ config: message, quiet: quiet.signal, leaving: leaving.signal, onReport });
        return;
      }
      if (message.order === 'report') {
        if (report !== undefined) tell(report());
        return;
      }
      quiet.abort();
      if (message.order === 'leave') leaving.abort();
    });
  });
}
