/** What a machine lacks is left out where tests may do without it, and an error that names it where they may not. */
import { expect, test } from 'vitest';
import { areProgramsRequired, insistOn, testsWithoutProgram } from '../../scripts/needed-programs.mjs';

const REQUIRED = { LANEKEEPER_REQUIRE_PROGRAMS: '1' };

test('programs are required by the gates alone', () => {
  expect(areProgramsRequired(REQUIRED)).toBe(true);
  expect(areProgramsRequired({})).toBe(false);
  expect(areProgramsRequired({ LANEKEEPER_REQUIRE_PROGRAMS: '0' })).toBe(false);
});

test('what is missing is named, with the package that has it; who may do without goes on', () => {
  expect(() => insistOn('libfaketime', 'faketime', REQUIRED)).toThrow(
    'There is no libfaketime (Debian: faketime)',
  );
  expect(() => insistOn('libfaketime', 'faketime', {})).not.toThrow();
});

test('no test is left out where programs are required', () => {
  expect(testsWithoutProgram(REQUIRED)).toEqual([]);
});
