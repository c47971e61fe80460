/**
 * Ends a process group as a whole: TERM, time to clean up, KILL. Knows nothing of how the group came to be. A plain
 * kill of the process was not enough: it leaves behind whatever the process itself has started.
 */

/** Between TERM and KILL: the wire's promise to commands (docs: five seconds to clean up). */
const KILL_AFTER_MS = 5_000;

/** How often a group that was told to end is looked at; ten times a second is free and feels immediate. */
const POLL_MS = 100;

/** For the kernel to bury what KILL has ended. A process whose new parent never does stays a zombie, which looks alive and is harmless. */
const BURIAL_MS = 5_000;

export const HAS_GROUPS = process.platform !== 'win32';

export class GroupStop {
  readonly #pid: number | undefined;
  /** Where there are no groups. */
  readonly #killAlone: (signal: NodeJS.Signals | 0) => boolean;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #isStopping = false;
  #isGone = false;

  /** `pid`: of the group's leader; undefined: there never was one. */
  constructor(pid: number | undefined, killAlone: (signal: NodeJS.Signals | 0) => boolean = () => false) {
    this.#pid = pid;
    this.#killAlone = killAlone;
  }

  stop(): void {
    if (this.#isStopping || this.#isGone) return;
    this.#isStopping = true;
    this.#signal('SIGTERM');
    this.#timer = setTimeout(() => this.kill(), KILL_AFTER_MS);
  }

  kill(): void {
    if (!this.#isGone) this.#signal('SIGKILL');
  }

  /** Stops what the leader, which is dead, has left running. */
  async clear(): Promise<void> {
    if (this.#isAlive()) this.stop();
    const untilMs = performance.now() + KILL_AFTER_MS + BURIAL_MS;
    while (this.#isAlive() && performance.now() < untilMs)
      await new Promise((resolve) => setTimeout(resolve, POLL_MS));
    this.#isGone = true;
    clearTimeout(this.#timer);
  }

  #isAlive(): boolean {
    return HAS_GROUPS && this.#signal(0);
  }

  #signal(signal: NodeJS.Signals | 0): boolean {
    const pid = this.#pid;
    if (pid === undefined) return false;
    try {
      return HAS_GROUPS ? process.kill(-pid, signal) : this.#killAlone(signal);
    } catch (error) {
      // ESRCH: nobody is left. EPERM: only processes that have become another user's, which we cannot end.
      if (error instanceof Error && 'code' in error) return false;
      throw error;
    }
  }
}
