/** What a release writes down of its wire is the wire that it ships, and a release without it is found. */
import { appendFileSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { findStaleBaseline, writeBaseline } from '../../scripts/write-wire-baseline.ts';

const ROOT = join(import.meta.dirname, '../..');
const VERSION = '9.8.7';
const FILES = [`frames-${VERSION}.yaml`, `openapi-${VERSION}.yaml`];

function emptyFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'lanekeeper-baseline-'));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  return folder;
}

test('a version that was not written down is missing both files; one that was, none', async () => {
  const folder = emptyFolder();
  expect(await findStaleBaseline(VERSION, folder)).toEqual(FILES);
  await writeBaseline(VERSION, folder);
  expect(readdirSync(folder).sort()).toEqual(FILES);
  expect(await findStaleBaseline(VERSION, folder)).toEqual([]);
  expect(await findStaleBaseline('9.8.8', folder)).toHaveLength(2);
});

test.each(FILES)('%s that holds another wire is found', async (name) => {
  const folder = emptyFolder();
  await writeBaseline(VERSION, folder);
  appendFileSync(join(folder, name), 'x-more: true\n');
  expect(await findStaleBaseline(VERSION, folder)).toEqual([name]);
});

test('it is openapi.yaml, under a line of its own', async () => {
  const { version } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as { version: string };
  const folder = emptyFolder();
  await writeBaseline(version, folder);
  const [written, shipped] = [join(folder, `openapi-${version}.yaml`), join(ROOT, 'openapi.yaml')].map(
    (path) => readFileSync(path, 'utf8').replace(/^#.*\n/, ''),
  );
  // Compared as one fact, not as a diff of thousands of lines.
  expect(written === shipped, 'openapi.yaml is stale: run `npm run openapi`').toBe(true);
});
