/**
 * Ends the process groups of a worker that was killed too hard to do it itself. A shell waits at the reading end of
 * a pipe that only the worker holds open: when the worker dies in whatever way, the kernel closes the pipe, and
 * the shell ends the groups it was told of. About a megabyte, and no polling; prctl(PR_SET_PDEATHSIG), which
 * would do it without a process, cannot be reached from Node and covers neither grandchildren nor macOS.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { startTimeOf } from './process-table.ts';

/**
 * Reads "+ group" and "- group" lines, a group being pid=start=directory; at the end of input: TERM, up to five seconds, KILL. POSIX
 * sh. With $1 it gives a successor that many seconds to take the groups over, which it shows by writing another word than $3 into
 * $2/holder, and lets those be that have left a note of their end, $2/<directory>/exit. A missing or empty file is nobody's word, and
 * of what a successor cannot have found, because $2/<directory> is gone, nothing is left to it.
 * A pid may belong to somebody else by then, whose start time is another. One that belongs to nobody is no other's: a group
 * keeps the pid of its leader from being used again for as long as it has members.
 */
const SCRIPT = `
trap '' HUP INT TERM
groups=' '
while read -r sign group; do
  case $sign in
    +) groups="$groups$group " ;;
    -) case $groups in *" $group "*) groups="\${groups%%" $group "*} \${groups#*" $group "}" ;; esac ;;
  esac
done
[ "$groups" != ' ' ] || exit 0
if [ "$1" ]; then
  sleep "$1"
  holder=
  read -r holder < "$2/holder"
  note=
  [ "\${holder:-$3}" != "$3" ] || note=/exit
  left=
  for group in $groups; do
    [ -e "$2/\${group##*=}$note" ] || left="$left $group"
  done
  groups=$left
fi
started() {
  if [ -e /proc/self/stat ]; then
    read -r stat < "/proc/$1/stat" || return
    set -- \${stat##*) }
    echo "\${20}"
  else
    set -- $(LC_ALL=C TZ=UTC ps -ww -o lstart= -p "$1")
    (IFS=_; echo "$*")
  fi
}
tell() {
  for group in $groups; do
    pid=\${group%%=*} start=\${group#*=}
    now=$(started "$pid")
    if [ -z "$now" ] || [ "$now" = "\${start%%=*}" ]; then kill "$1" "-$pid" && alive=yes; fi
  done
}
tell -TERM
for second in 1 2 3 4 5; do
  alive=
  tell -0
  [ "$alive" ] || exit 0
  sleep 1
done
tell -KILL
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
  /** As the shell was told of them, by pid. */
  readonly #groups = new Map<number, string>();

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

  /** `directory`: where it leaves a note of its end, below that of the succession; no blanks and no "=" in it. */
  watch(pid: number, directory = ''): void {
    const start = startTimeOf(pid)?.replace(/\s+/g, '_') ?? 'gone';
    const group = `${pid}=${start}=${directory}`;
    this.#groups.set(pid, group);
    this.#shell?.stdin?.write(`+ ${group}\n`);
  }

  forget(pid: number): void {
    const group = this.#groups.get(pid);
    if (group === undefined) return;
    this.#groups.delete(pid);
    this.#shell?.stdin?.write(`- ${group}\n`);
  }

  /** Ends what it still knows of, and itself. */
  close(): void {
    this.#shell?.stdin?.end();
  }
}
