/**
 * Ends the process groups of a worker that was killed too hard to do it itself. A shell waits at the reading end of
 * a pipe that only the worker holds open: when the worker dies in whatever way, the kernel closes the pipe, and
 * the shell ends the groups it was told of. About a megabyte, and no polling; prctl(PR_SET_PDEATHSIG), which
 * would do it without a process, cannot be reached from Node and covers neither grandchildren nor macOS.
 */
import { type ChildProcess, spawn } from 'node:child_process';

/** Reads "+ pid" and "- pid" lines; at the end of input: TERM, up to five seconds, KILL. POSIX sh. */
const SCRIPT = `
trap '' HUP INT TERM
groups=' '
while read -r sign pid; do
  case $sign in
    +) groups="$groups$pid " ;;
    -) case $groups in *" $pid "*) groups="\${groups%%" $pid "*} \${groups#*" $pid "}" ;; esac ;;
  esac
done
for pid in $groups; do kill -TERM "-$pid"; done
for second in 1 2 3 4 5; do
  left=
  for pid in $groups; do kill -0 "-$pid" && left=yes; done
  [ "$left" ] || exit 0
  sleep 1
done
for pid in $groups; do kill -KILL "-$pid"; done
`;

export class OrphanGuard {
  readonly #shell: ChildProcess | undefined;

  private constructor(shell: ChildProcess | undefined) {
    this.#shell = shell;
  }

  /** `searchPath`: where the shell finds sleep. */
  static start(searchPath: string | undefined): OrphanGuard {
    if (process.platform === 'win32') return new OrphanGuard(undefined);
    const shell = spawn('/bin/sh', ['-c', SCRIPT], {
      // Its own session: what is sent to the worker's group, as Ctrl-C is, must not end it.
      detached: true,
      stdio: ['pipe', 'ignore', 'ignore'],
      // No credential of the worker stays readable in its environment.
      env: { PATH: searchPath ?? '/usr/bin:/bin' },
    });
    // Without a shell the worker works all the same; only this safety net is missing.
    shell.on('error', () => undefined);
    shell.stdin?.on('error', () => undefined);
    shell.unref();
    return new OrphanGuard(shell);
  }

  watch(pid: number): void {
    this.#shell?.stdin?.write(`+ ${pid}\n`);
  }

  forget(pid: number): void {
    this.#shell?.stdin?.write(`- ${pid}\n`);
  }

  /** Ends what it still knows of, and itself. */
  close(): void {
    this.#shell?.stdin?.end();
  }
}
