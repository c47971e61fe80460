/**
 * Starts a process per claim in a directory of its own, or goes on with one that an earlier dispatcher has started. A
 * process that exits 0 has done its duty only when it has ended its run itself: the server knows, nobody here does.
 */
import { statSync } from 'node:fs';
import { join, resolve } from 'node:path';
import type { Claim } from '../../contract/claims.ts';
import type { Environment } from '../environment.ts';
import { isRunnable } from '../worker/command-path.ts';
import type { Launched } from '../worker/launcher.ts';
import type { OrphanGuard } from '../worker/orphan-guard.ts';
import { pidSpace } from '../worker/process-table.ts';
import type { RunClaim } from '../worker/run-claim.ts';
import type { OnOutput, RunningProcess } from '../worker/running-process.ts';
import { SteeringFile } from '../worker/steering-file.ts';
import { claimEnvironment, taskDocument } from '../worker/task-document.ts';
import type { RunStart } from '../worker/task-run.ts';
import { exitFacts, type Reading } from '../worker/verdict.ts';
import { KeptProcess } from './kept-process.ts';
import type { FollowerListener } from './output-follower.ts';
import { RunDirectory, type RunRecord } from './run-directory.ts';
import { environmentFor, filled, type SpawnSettings } from './spawn-settings.ts';
import type { StateDirectory } from './state-directory.ts';

export interface SpawnSurroundings {
  readonly state: StateDirectory;
  readonly guard: OrphanGuard;
  readonly url: string;
  readonly env: Environment;
  /** Names of variables, or PREFIX*, that every process gets of the dispatcher's environment. */
  readonly passed: readonly string[];
  readonly workingDirectory: string;
  readonly warn: (text: string) => void;
}

const DISPATCH_READING: Reading = {
  ofSuccess: (end) => ({
    verb: 'fail',
    body: {
      kind: 'protocol_violation',
      error:
        'The process exited with code 0 without having ended its run (complete, block, release or fail).',
      metadata: exitFacts(end),
    },
  }),
  lastWords: ({ stdout, stderr }) => (stderr.trim() === '' ? stdout : stderr),
};

export class SpawnLauncher {
  readonly #surroundings: SpawnSurroundings;
  /** Of groups with somebody in them. */
  readonly #present = new Set<Promise<void>>();

  constructor(surroundings: SpawnSurroundings) {
    this.#surroundings = surroundings;
  }

  launch(claim: Claim, settings: SpawnSettings, onOutput: OnOutput): Launched {
    const { run_id, lane, attempt, token, task } = claim;
    const directory = this.#directoryOf(run_id);
    const kept: RunClaim = {
      run_id,
      lane,
      attempt,
      token,
      task: { id: task.id, title: task.title, board: task.board },
    };
    const record: RunRecord = {
      claim: kept,
      startedAt: new Date().toISOString(),
      timeoutSeconds: settings.timeoutSeconds,
      stopped: null,
      pidSpace: pidSpace(),
    };
    let process: RunningProcess;
    try {
      directory.create(record, taskDocument(claim));
      process = this.#start(claim, settings, { directory, onOutput });
    } catch (error) {
      process = notStarted(error instanceof Error ? error : new Error(String(error)));
    }
    return this.#launched(directory, record, process);
  }

  /** Resolves when no process is left of those whose runs have ended. */
  async settled(): Promise<void> {
    await Promise.all(this.#present);
  }

  /** What the state directory still holds. A run of which too little is known is ended, and left to its lease. */
  recover(): RunStart[] {
    const { state, warn } = this.#surroundings;
    const { runs, strangers } = state.contents();
    if (strangers.length > 0)
      warn(`not of a dispatcher, and left alone: ${strangers.join(', ')} in ${state.path}`);
    return runs.flatMap((runId) => {
      const directory = this.#directoryOf(runId);
      const record = directory.read();
      if (record !== null) {
        return {
          claim: record.claim,
          messages: [],
          launch: (onOutput) => this.#adopt(directory, record, onOutput),
        };
      }
      warn(
        `what is left of run ${runId} does not say whose it is: its process is stopped, its claim left to its lease`,
      );
      const process = KeptProcess.adopt(
        directory,
        this.#listenerOf(runId, () => undefined),
      );
      process.stop();
      void process.gone.then(() => this.#attempt(runId, () => directory.remove()));
      return [];
    });
  }

  #adopt(directory: RunDirectory, record: RunRecord, onOutput: OnOutput): Launched {
    const { run_id } = record.claim;
    const process = KeptProcess.adopt(directory, this.#listenerOf(run_id, onOutput));
    if (process.pid !== undefined) this.#guardOver(process.pid, run_id);
    this.#keepPresent(process);
    return { ...this.#launched(directory, record, process), isAdopted: true, stopped: record.stopped };
  }

  #start(
    claim: Claim,
    settings: SpawnSettings,
    { directory, onOutput }: { readonly directory: RunDirectory; readonly onOutput: OnOutput },
  ): KeptProcess {
    const { env: own, passed, url, workingDirectory } = this.#surroundings;
    const cwd = resolve(workingDirectory, settings.cwd === null ? '.' : filled(settings.cwd, claim));
    if (!statSync(cwd, { throwIfNoEntry: false })?.isDirectory())
      throw new Error(`there is no directory ${cwd}`);
    const env = environmentFor(settings, own, passed);
    const [command, ...rest] = settings.argv.map((argument) => filled(argument, claim));
    if (command === undefined || !isRunnable(command, { path: env['PATH'], cwd })) {
      throw new Error(`there is no command ${command} that could be run`);
    }
    // There before the process, which may look at once.
    const steering = new SteeringFile(directory.file('steering.jsonl'));
    const process = KeptProcess.start({
      directory,
      argv: [command, ...rest],
      cwd,
      env: {
        ...env,
        ...claimEnvironment(claim, url),
        ...hermesEnvironment(claim),
        LANEKEEPER_STEERING_FILE: steering.path,
      },
      listener: this.#listenerOf(claim.run_id, onOutput),
      onPid: (pid) => this.#guardOver(pid, claim.run_id),
    });
    this.#keepPresent(process);
    return process;
  }

  #guardOver(pid: number, runId: string): void {
    const { guard, state } = this.#surroundings;
    guard.watch(pid, state.runDirectory(runId));
  }

  #keepPresent({ pid, gone: ended }: KeptProcess): void {
    if (pid === undefined) return;
    const gone = ended.then(() => {
      this.#surroundings.guard.forget(pid);
      this.#present.delete(gone);
    });
    this.#present.add(gone);
  }

  #launched(directory: RunDirectory, record: RunRecord, process: RunningProcess): Launched {
    const { timeoutSeconds: seconds, claim } = record;
    const attempt = (act: () => void): void => this.#attempt(claim.run_id, act);
    const usedMs = Date.now() - Date.parse(record.startedAt);
    return {
      process,
      steering: new SteeringFile(directory.file('steering.jsonl')),
      // A clock that was set back gives no more time than there was.
      timeout:
        seconds === null
          ? null
          : { seconds, leftMs: Math.min(seconds * 1000, Math.max(0, seconds * 1000 - usedMs)) },
      reading: DISPATCH_READING,
      onToken: (token) => attempt(() => directory.changeToken(token)),
      onStop: (reason) => attempt(() => directory.noteStop(reason)),
      // Else the next dispatcher of this name reports it.
      close: (isKnown) => {
        if (isKnown) void process.gone.then(() => attempt(() => directory.remove()));
      },
    };
  }

  #listenerOf(runId: string, onOutput: OnOutput): FollowerListener {
    return { onOutput, onTrouble: (text) => this.#surroundings.warn(`run ${runId}: ${text}`) };
  }

  /** Notes are for a dispatcher that comes after us: without one this run goes on, and so do all others. */
  #attempt(runId: string, act: () => void): void {
    try {
      act();
    } catch (error) {
      const why = error instanceof Error ? error.message : String(error);
      this.#surroundings.warn(`run ${runId}: what the next dispatcher would need cannot be kept up: ${why}`);
    }
  }

  #directoryOf(runId: string): RunDirectory {
    const { state } = this.#surroundings;
    return new RunDirectory(join(state.path, state.runDirectory(runId)));
  }
}

/** As the workers of Hermes know their task by. */
function hermesEnvironment({ task, run_id }: Claim): Record<string, string> {
  return {
    HERMES_KANBAN_TASK: task.id,
    HERMES_KANBAN_RUN_ID: run_id,
    HERMES_KANBAN_BOARD: task.board,
  };
}

function notStarted(error: Error): RunningProcess {
  return {
    ended: Promise.resolve({ kind: 'not_started', error }),
    gone: Promise.resolve(),
    hasExited: true,
    stop: () => undefined,
    kill: () => undefined,
  };
}
