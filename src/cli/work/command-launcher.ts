/**
 * Starts the command of `work` for each task. The command gets the claim's token and nothing else that could open a
 * door, and does not outlive the worker in whatever way that ends.
 */
import type { Client } from '../../client/client.ts';
import type { Claim } from '../../contract/claims.ts';
import type { Launched, Launcher } from '../worker/launcher.ts';
import { OrphanGuard } from '../worker/orphan-guard.ts';
import type { Argv, OnOutput } from '../worker/running-process.ts';
import { SteeringDirectory } from '../worker/steering-file.ts';
import { claimEnvironment, taskDocument } from '../worker/task-document.ts';
import { WORK_READING } from './completion.ts';
import { ProcessGroup } from './process-group.ts';

export interface CommandOptions {
  readonly client: Client;
  readonly argv: Argv;
  /** Of the worker; what speaks for the worker is taken out before a command sees it. */
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly timeoutSeconds: number | null;
}

/** The task's summary and the last error both fit into this many times over; bounds memory per task. */
const TAIL_BYTES_MAX = 64 * 1024;

export class CommandLauncher implements Launcher {
  readonly #options: CommandOptions;
  readonly #guard: OrphanGuard;
  readonly #steering = new SteeringDirectory();

  constructor(options: CommandOptions) {
    this.#options = options;
    this.#guard = OrphanGuard.start(options.env['PATH']);
  }

  launch(claim: Claim, onOutput: OnOutput): Launched {
    const { argv, env, client, timeoutSeconds: seconds } = this.#options;
    const steering = this.#steering.open(claim.run_id);
    const group = ProcessGroup.start({
      argv,
      env: {
        ...withoutCredentials(env),
        ...claimEnvironment(claim, client.url),
        LANEKEEPER_STEERING_FILE: steering.path,
      },
      stdin: taskDocument(claim),
      tailBytesMax: TAIL_BYTES_MAX,
      onOutput,
    });
    const { pid } = group;
    if (pid !== undefined) {
      this.#guard.watch(pid);
      void group.gone.then(() => this.#guard.forget(pid));
    }
    void group.ended.then(() => steering.remove());
    return {
      process: group,
      steering,
      timeout: seconds === null ? null : { seconds, leftMs: seconds * 1000 },
      reading: WORK_READING,
      close: () => undefined,
    };
  }

  /** No process is left to guard. */
  close(): void {
    this.#guard.close();
    this.#steering.remove();
  }
}

function withoutCredentials(env: CommandOptions['env']): Record<string, string> {
  const clean: Record<string, string> = {};
  for (const [name, value] of Object.entries(env)) {
    // The worker's key, and whatever else would speak for more than this claim, stays with the worker.
    if (value !== undefined && !name.startsWith('LANEKEEPER_')) clean[name] = value;
  }
  return clean;
}
