/** Which version comes next, and what CHANGELOG.md must look like for that to be decided. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { HEADINGS, readChangelog } from '../../scripts/release/changelog.ts';
import { decideVersion, planRelease } from '../../scripts/release/version.ts';

const ROOT = join(import.meta.dirname, '../..');

const changesOf = (text: string) => {
  const [section] = readChangelog(`## [Unreleased]\n\n${text}\n`);
  if (section === undefined) throw new Error('there is a section');
  return section.entries;
};
const WIRE = '### Wire\n\n- A field `x` of a task.';
const REMOVAL = '### Wire\n\n- A field `x` of a task.\n- The field `y` was removed.';
const FEATURE = '### Added\n\n- A command.';
const FIX = '### Fixed\n\n- A fault.';

test.each([
  ['a fix alone', '1.4.2', FIX, '1.4.3', 'patch'],
  ['advice for an upgrade alone', '1.4.2', '### Upgrading\n\nStop the old one first.', '1.4.3', 'patch'],
  ['something new', '1.4.2', `${FEATURE}\n\n${FIX}`, '1.5.0', 'minor'],
  ['something new on the wire', '1.4.2', WIRE, '1.5.0', 'minor'],
  ['something gone from the wire', '1.4.2', `${FEATURE}\n\n${REMOVAL}`, '2.0.0', 'major'],
  ['something renamed on the wire', '1.4.2', '### Wire\n\n- `a` is renamed to `b`.', '2.0.0', 'major'],
  ['something gone from elsewhere', '1.4.2', '### Removed\n\n- A command.', '2.0.0', 'major'],
  ['before 1.0.0: something gone', '0.4.2', REMOVAL, '0.5.0', 'major'],
  ['before 1.0.0: something new', '0.4.2', WIRE, '0.5.0', 'minor'],
  ['before 1.0.0: a fix', '0.4.2', FIX, '0.4.3', 'patch'],
])('%s: after %s comes the right version', (_, previous, changes, version, step) => {
  expect(decideVersion(previous, changesOf(changes))).toMatchObject({ version, step });
});

test('what was removed inside, and is not about the wire, breaks nobody', () => {
  expect(decideVersion('1.0.0', changesOf('### Fixed\n\n- Files are removed at the end.')).step).toBe(
    'patch',
  );
});

const RELEASED = `## [1.0.0] - 2026-01-31\n\n${FEATURE}\n`;

test('a version that does not fit its changes is refused, with the one that does', () => {
  const sections = readChangelog(`## [Unreleased]\n\n${WIRE}\n\n${RELEASED}`);
  expect(planRelease('1.1.0', sections)).toMatchObject({ previous: '1.0.0', step: 'minor', isDated: false });
  for (const wrong of ['1.0.0', '1.0.1', '2.0.0', '1.2.0'])
    expect(() => planRelease(wrong, sections)).toThrow('after 1.0.0 comes 1.1.0');
});

test('a section with version and date is what a tag needs; one that names another version is not it', () => {
  const dated = readChangelog(`## [Unreleased]\n\n## [1.1.0] - 2026-02-28\n\n${WIRE}\n\n${RELEASED}`);
  expect(planRelease('1.1.0', dated)).toMatchObject({ previous: '1.0.0', isDated: true });
  expect(() => planRelease('1.2.0', dated)).toThrow('says nothing of 1.2.0');
  expect(() => planRelease('1.0.0', [])).toThrow('says nothing of 1.0.0');
});

test('the first release has the version of the manifest, whatever its changes', () => {
  const sections = readChangelog(`## [Unreleased]\n\n${REMOVAL}\n`);
  expect(planRelease('0.1.0', sections)).toMatchObject({ step: 'first release', previous: null });
  expect(() => planRelease('0.1', sections)).toThrow('no version');
});

test.each([
  ['a heading that nobody knows', '## [Unreleased]\n\n### Improved\n', 'CHANGELOG.md:3'],
  ['a heading twice', `## [Unreleased]\n\n${FIX}\n\n${FIX}\n`, 'Fixed stands once'],
  ['headings out of order', `## [Unreleased]\n\n${FIX}\n\n${FEATURE}\n`, 'Added stands once'],
  ['a version without a date', '## [1.0.0]\n', 'has a date'],
  ['a version that is none', '## 1.0\n', 'no heading of a version'],
  ['unreleased changes below a version', `${RELEASED}\n## [Unreleased]\n`, 'stands first'],
  ['a change under no heading', '## [Unreleased]\n\n- Something.\n', 'below one of the headings'],
])('%s is refused with its line', (_, document, why) => {
  expect(() => readChangelog(document)).toThrow(why);
});

test('an entry may have several lines, and ends with the next bullet or an empty line', () => {
  const entries = changesOf('### Added\n\n- One that\n  goes on.\n- Two.\n\nThree.');
  expect(entries.get('Added')).toEqual(['One that goes on.', 'Two.', 'Three.']);
});

test('CHANGELOG.md keeps its rules, its versions fall, and its version can be planned', () => {
  const sections = readChangelog(readFileSync(join(ROOT, 'CHANGELOG.md'), 'utf8'));
  const { version } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as { version: string };
  const plan = planRelease(version, sections);
  expect(plan.version).toBe(version);
  const released = sections.flatMap((section) => section.version ?? []);
  // Each version is what follows from its changes and the one before it.
  for (const [index, section] of sections.entries()) {
    const previous = sections[index + 1]?.version;
    if (section.version !== null && previous != null)
      expect(decideVersion(previous, section.entries).version).toBe(section.version);
  }
  expect(new Set(released).size).toBe(released.length);
});

test('docs/releasing.md explains every heading', () => {
  const page = readFileSync(join(ROOT, 'docs/releasing.md'), 'utf8');
  for (const heading of HEADINGS) expect(page).toContain(`**${heading}**`);
});
