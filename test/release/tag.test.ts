/** A version that has its tag is found, and none is taken for free where tags cannot be seen. */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { requireNoTag } from '../../scripts/release/tag.ts';

/** Whoever runs the tests may sign commits, have no name yet, or be within a hook of git, which names a repository of its own. */
const NOBODY = {
  PATH: process.env['PATH'],
  GIT_CONFIG_GLOBAL: '/dev/null',
  GIT_AUTHOR_NAME: 'nobody',
  GIT_AUTHOR_EMAIL: 'nobody@example.org',
  GIT_COMMITTER_NAME: 'nobody',
  GIT_COMMITTER_EMAIL: 'nobody@example.org',
};

function emptyFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'lanekeeper-tag-'));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  return folder;
}

function git(checkout: string, ...words: string[]): void {
  execFileSync('git', words, { cwd: checkout, env: NOBODY, stdio: 'pipe' });
}

/** With 1.2.3, and a commit since. */
function releasedRepository(): string {
  const folder = emptyFolder();
  git(folder, 'init');
  git(folder, 'commit', '--allow-empty', '--message', 'released');
  git(folder, 'tag', '--annotate', 'v1.2.3', '--message', '1.2.3');
  git(folder, 'commit', '--allow-empty', '--message', 'since');
  return folder;
}

test('a version that has its tag is refused; those before and after it, and one that it begins with, are not', async () => {
  const repository = releasedRepository();
  await expect(requireNoTag('1.2.3', repository)).rejects.toThrow('The tag v1.2.3 exists already');
  for (const version of ['1.2.2', '1.2.4', '1.2.30', '1.2']) await requireNoTag(version, repository);
});

test('a shallow clone has not all tags: none of its versions is taken for free', async () => {
  const clone = emptyFolder();
  git(clone, 'clone', '--depth=1', `file://${releasedRepository()}`, '.');
  await expect(requireNoTag('1.2.3', clone)).rejects.toThrow('A shallow clone does not know');
  git(clone, 'fetch', '--unshallow', '--tags');
  await expect(requireNoTag('1.2.3', clone)).rejects.toThrow('The tag v1.2.3 exists already');
  await requireNoTag('1.2.4', clone);
});

test('where there is no repository nothing is taken for free', async () => {
  await expect(requireNoTag('1.2.3', emptyFolder())).rejects.toThrow('git tag --list v1.2.3');
});
