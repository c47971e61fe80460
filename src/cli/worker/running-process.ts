/** What a run needs of the process that works on its task, however that was started and whoever its parent is. */
import type { OutputStream } from '../../client/worker/output-relay.ts';

export type Argv = readonly [command: string, ...rest: string[]];
export type OnOutput = (stream: OutputStream, chunk: Uint8Array) => void;

export type ProcessEnd =
  /** stdout and stderr are the tails. Exactly one of exitCode and signal is not null. */
  | {
      readonly kind: 'exited';
      readonly exitCode: number | null;
      readonly signal: string | null;
      readonly stdout: string;
      readonly stderr: string;
    }
  | { readonly kind: 'not_started'; readonly error: Error }
  /** It was gone when somebody looked for it, and nobody knows how it ended. */
  | { readonly kind: 'vanished' };

export interface RunningProcess {
  /** Resolves when the process has exited, never rejects. What it left running is stopped in the background. */
  readonly ended: Promise<ProcessEnd>;
  /** Resolves when no process of its group is left. */
  readonly gone: Promise<void>;
  /** The process itself is dead, though `ended` may still wait for its last output. */
  readonly hasExited: boolean;
  /** TERM to the whole group, KILL after five seconds. Harmless when repeated or too late. */
  stop(): void;
  /** KILL to the whole group, now. */
  kill(): void;
}
