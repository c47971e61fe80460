/**
 * Ends the process groups of a worker that was killed too hard to do it itself. A shell waits at the reading end of
 * a pipe that only the worker holds open: when the worker dies in whatever way, the kernel closes the pipe, and
 * the shell ends the groups it was told of. About a megabyte, and no polling; prctl(PR_SET_PDEATHSIG), which
 * would do it without a process, cannot be reached from Node and covers neither grandchildren nor macOS.
 */
import { type ChildProcess, spawn } from 'node:child_process';

/**
 * Reads "+ pid" and "- pid" lines; at the end of input: TERM, up to five seconds, KILL. POSIX sh. With $1 it gives a
 * successor that many seconds to take the groups over, which it shows by writing another word than $3 into $2/holder.
 * A pid may belong to somebody else by then, so only what has $2/<directory>/pid and no $2/<directory>/exit yet is ended.
 */
const SCRIPT = `
trap '' HUP INT TERM
groups=' '
while read -r sign pid directory; do
  if [ "$directory" ]; then pid="$pid=$directory"; fi
  case $sign in
    +) groups="$groups$pid " ;;
    -) case $groups in *" $pid "*) groups="\${groups%%" $pid "*} \${groups#*" $pid "}" ;; esac ;;
  esac
done
[ "$groups" != ' ' ] || exit 0
if [ "$1" ]; then
  sleep "$1"
  holder=
  read -r holder < "$2/holder"
  [ "$holder" = "$3" ] || exit 0
  left=
  for pid in $groups; do
    directory=$2/\${pid#*=}
    if [ -e "$directory/pid" ] && [ ! -e "$directory/exit" ]; then left="$left \${pid%%=*}"; fi
  done
  groups=$left
fi
for pid in $groups; do kill -TERM "-$pid"; done
for second in 1 2 3 4 5; do
  left=
  for pid in $groups; do kill -0 "-$pid" && left=yes; done
  [ "$left" ] || exit 0
  sleep 1
done
for pid in $groups; do kill -KILL "-$pid"; done
`;

/** Who may take the groups over, and until when. */
export interface Succession {
  readonly seconds: number;
  /** Its file `holder` says `word` for as long as nobody else has taken over. */
  readonly directory: string;
  readonly word: string;
}

export class OrphanGuard {
  readonly #shell: ChildProcess | undefined;

  private constructor(shell: ChildProcess | undefined) {
    this.#shell = shell;
  }

  /** `searchPath`: where the shell finds sleep. */
  static start(searchPath: string | undefined, succession?: Succession): OrphanGuard {
    if (process.platform === 'win32') return new OrphanGuard(undefined);
    const rest =
      succession === undefined ? [] : [String(succession.seconds), succession.directory, succession.word];
    const shell = spawn('/bin/sh', ['-c', SCRIPT, 'orphan-guard', ...rest], {
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

  /** `directory`: where it leaves a note of its end, below that of the succession; no blanks in it. */
  watch(pid: number, directory = ''): void {
    this.#shell?.stdin?.write(`+ ${pid} ${directory}\n`);
  }

  /** With what watch() was given. */
  forget(pid: number, directory = ''): void {
    this.#shell?.stdin?.write(`- ${pid} ${directory}\n`);
  }

  /** Ends what it still knows of, and itself. */
  close(): void {
    this.#shell?.stdin?.end();
  }
}
