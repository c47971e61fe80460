/** What comes with the package of others' work is listed, and nothing of it asks for more than we give. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, expect, test } from 'vitest';
import { findObjections, renderLicences, type ThirdParties } from '../../scripts/licences/document.ts';
import { listBundled, listInstalled, type ThirdParty } from '../../scripts/licences/packages.ts';
import { isAllowed } from '../../scripts/licences/spdx.ts';

const ROOT = join(import.meta.dirname, '../..');

/** It bundles the dashboard, in a second on a machine with nothing else to do. */
const BUNDLED_WITHIN_MS = 60_000;

let parties: ThirdParties;
beforeAll(async () => {
  parties = { bundled: await listBundled(ROOT), installed: listInstalled(ROOT) };
}, BUNDLED_WITHIN_MS);

test('THIRD_PARTY_LICENSES.txt is what `npm run licenses` writes', () => {
  expect(readFileSync(join(ROOT, 'THIRD_PARTY_LICENSES.txt'), 'utf8')).toBe(renderLicences(parties));
});

test('every package, inside of ours or beside it, has a licence that is listed as harmless', () => {
  expect(findObjections(parties)).toEqual([]);
});

test('code that reaches the published files is found wherever it comes from: driver, dashboard, copied pages', () => {
  const names = parties.bundled.map(({ name }) => name);
  expect(names).toEqual(
    expect.arrayContaining(['postgres', 'react-dom', 'scheduler', 'uplot', 'swagger-ui-dist']),
  );
  const { dependencies, optionalDependencies } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8'));
  const installed = parties.installed.map(({ name }) => name);
  expect(installed).toEqual(
    expect.arrayContaining(Object.keys({ ...dependencies, ...optionalDependencies })),
  );
  // For development alone.
  expect(installed).not.toContain('vitest');
});

const one = (licence: string, texts: readonly string[] = ['…']): ThirdParty => ({
  name: 'some',
  version: '1.0.0',
  licence,
  texts,
});

test.each([
  ['a licence that is not listed', { bundled: [], installed: [one('AGPL-3.0-only')] }],
  ['no licence at all', { bundled: [], installed: [one('')] }],
  ['bundled code whose notice cannot be passed on', { bundled: [one('MIT', [])], installed: [] }],
])('%s is an objection', (_, found) => {
  expect(findObjections(found)).toEqual([expect.stringContaining('some 1.0.0')]);
});

test.each([
  ['MIT', true],
  ['(MIT OR GPL-3.0-only)', true],
  ['MIT AND GPL-3.0-only', false],
  ['GPL-3.0-only OR (ISC AND Apache-2.0)', true],
  ['(MIT', false],
  ['Apache-2.0 WITH LLVM-exception', false],
  ['SEE LICENSE IN LICENSE.md', false],
  ['', false],
])('the expression "%s" is allowed: %s', (expression, expected) => {
  expect(isAllowed(expression)).toBe(expected);
});
