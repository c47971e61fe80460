/** The tag of a version: whatever has one may be out, so it is neither written down again nor released. */
import { git } from './git.ts';

/** Throws, too, where it cannot be known. */
export async function requireNoTag(version: string, checkout: string): Promise<void> {
  const tag = `v${version}`;
  if ((await git(checkout, 'tag', '--list', tag)) !== '')
    throw new Error(`The tag ${tag} exists already: what has changed since needs the next version.`);
  // It has the tags of those commits that it has, and no others.
  if ((await git(checkout, 'rev-parse', '--is-shallow-repository')) === 'true')
    throw new Error(`A shallow clone does not know whether ${tag} exists: \`git fetch --unshallow --tags\`.`);
}
