/** Who gives a claimed task to a process: `work` to one that lives as long as the worker, `dispatch` to one that may outlive it. */
import type { StopReason } from '../../client/worker/run-end.ts';
import type { Claim } from '../../contract/claims.ts';
import type { OnOutput, RunningProcess } from './running-process.ts';
import type { SteeringFile } from './steering-file.ts';
import type { Reading } from './verdict.ts';

export interface Launched {
  readonly process: RunningProcess;
  readonly steering: SteeringFile;
  /** null: the process may take as long as it likes. */
  readonly timeout: { readonly seconds: number; readonly leftMs: number } | null;
  readonly reading: Reading;
  /** It was started by somebody else before us, so the claim may be gone already. */
  readonly isAdopted?: boolean;
  /** Whoever kept it before us has decided to stop it. */
  readonly stopped?: StopReason | null;
  readonly onToken?: (token: string) => void;
  readonly onStop?: (reason: StopReason) => void;
  /** The run is over. false: the server does not know yet how it ended. */
  readonly close: (isKnown: boolean) => void;
}

export interface Launcher {
  /** Never throws: what cannot be started has a process that says so. */
  readonly launch: (claim: Claim, onOutput: OnOutput) => Launched;
  /** Of a task that could not be started, to whoever has to mend that. */
  readonly onStartFailure?: ((claim: Claim, error: Error) => void) | undefined;
}
