/** The death of a machine, as far as Postgres goes. */
import { readFileSync } from 'node:fs';

/**
 * SIGKILL to Postgres and all its processes at once. They must not outlive it by a moment: a session that is left answers from a database
 * that is no longer the one, and shows commits that no longer wait for their standby. Stopped first, it makes no new ones meanwhile.
 */
export function killWhole(postmaster: number): void {
  process.kill(postmaster, 'SIGSTOP');
  const children = readFileSync(`/proc/${postmaster}/task/${postmaster}/children`, 'utf8');
  for (const pid of [
    ...children
      .split(' ')
      .filter((text) => text !== '')
      .map(Number),
    postmaster,
  ]) {
    try {
      process.kill(pid, 'SIGKILL');
    } catch {
      // It had ended.
    }
  }
}
