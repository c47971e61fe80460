/** Gives each reply that is to be made to a model: what `work` does with a command, with a request instead of a process. */

import type { Claim } from '../../contract/claims.ts';
import type { Launched, Launcher } from '../worker/launcher.ts';
import type { ProcessEnd, RunningProcess } from '../worker/running-process.ts';
import { SteeringDirectory } from '../worker/steering-file.ts';
import type { Reading } from '../worker/verdict.ts';
import { completeChatPatiently } from './chat-completion.ts';

export interface SynthesisOptions {
  readonly endpoint: string;
  readonly model: string;
  readonly apiKey: string | null;
  readonly timeoutSeconds: number;
}

/** For a task that says nothing of how it is to be done. */
const GUIDANCE =
  'Write a short and clear reply for the user from what follows. Answer with the text of the reply alone.';

/** The reply is the result; as the summary it would only stand there twice. */
const READING: Reading = {
  ofSuccess: ({ stdout }) => ({ verb: 'complete', body: { result: { text: stdout } } }),
  lastWords: ({ stderr }) => stderr,
};

export class SynthesisLauncher implements Launcher {
  readonly #options: SynthesisOptions;
  readonly #steering = new SteeringDirectory();

  constructor(options: SynthesisOptions) {
    this.#options = options;
  }

  launch(claim: Claim): Launched {
    const { timeoutSeconds: seconds, ...options } = this.#options;
    const steering = this.#steering.open(claim.run_id);
    const request = new ModelRequest((signal) =>
      completeChatPatiently({ ...options, ...wishOf(claim), signal }),
    );
    void request.ended.then(() => steering.remove());
    return {
      process: request,
      steering,
      timeout: { seconds, leftMs: seconds * 1000 },
      reading: READING,
      close: () => undefined,
    };
  }

  close(): void {
    this.#steering.remove();
  }
}

function wishOf({ task }: Claim): { guidance: string; text: string } {
  const { payload } = task;
  const part = (name: string): string | null => {
    const value =
      payload !== null && typeof payload === 'object' && !Array.isArray(payload) ? payload[name] : null;
    return typeof value === 'string' && value !== '' ? value : null;
  };
  return { guidance: part('guidance') ?? GUIDANCE, text: part('text') ?? task.body ?? task.title };
}

/** A request as a run looks at a process: stopping it is giving it up. */
class ModelRequest implements RunningProcess {
  readonly ended: Promise<ProcessEnd>;
  readonly gone: Promise<void>;
  hasExited = false;
  readonly #giveUp = new AbortController();

  constructor(ask: (signal: AbortSignal) => Promise<string>) {
    this.ended = ask(this.#giveUp.signal)
      .then(
        (text) => exitOf(0, text, ''),
        (error: unknown) => exitOf(1, '', error instanceof Error ? error.message : String(error)),
      )
      .finally(() => {
        this.hasExited = true;
      });
    this.gone = this.ended.then(() => undefined);
  }

  stop(): void {
    this.#giveUp.abort();
  }

  kill(): void {
    this.#giveUp.abort();
  }
}

function exitOf(exitCode: number, stdout: string, stderr: string): ProcessEnd {
  return { kind: 'exited', exitCode, signal: null, stdout, stderr };
}
