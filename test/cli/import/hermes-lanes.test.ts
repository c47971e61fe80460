/** What becomes of the names of assignees, and which of them get a lane that processes are started for. */
import { describe, expect, test } from 'vitest';
import { Findings } from '../../../src/cli/import/findings.ts';
import { HermesLanes, kindOf, lanesOfProfiles } from '../../../src/cli/import/hermes-lanes.ts';

function told(assignees: readonly string[]): { names: (string | null)[]; findings: Record<string, unknown> } {
  const findings = new Findings();
  const lanes = new HermesLanes(findings);
  const names = assignees.map((assignee) => lanes.laneOf(assignee));
  return {
    names,
    findings: Object.fromEntries(findings.list().map(({ code, examples }) => [code, examples])),
  };
}

test.each([
  ['coder', 'coder'],
  ['code_review.2', 'code_review.2'],
  ['Coder', 'coder'],
  ['  coder ', 'coder'],
  ['Jo Ann', 'jo-ann'],
  ['Über Lane!', 'uber-lane'],
  ['_private', 'private'],
  ['a/b\\c', 'a-b-c'],
  ['x'.repeat(80), 'x'.repeat(64)],
  ['編集者', null],
  ['---', null],
])('the assignee %j becomes the lane %j', (assignee, lane) => {
  expect(told([assignee]).names).toEqual([lane]);
});

test('every name that changes is told once, one that is lost also, and so are two that became one', () => {
  const { names, findings } = told(['Coder', 'coder', 'Jo Ann', 'Jo Ann', 'jo-ann', '編集者']);
  expect(names).toEqual(['coder', 'coder', 'jo-ann', 'jo-ann', 'jo-ann', null]);
  expect(findings).toEqual({
    lane_renamed: ['Coder → coder', 'Jo Ann → jo-ann'],
    // Not Coder and coder: they are one profile in Hermes.
    lane_shared: ['jo ann, jo-ann → jo-ann'],
    lane_unusable: ['編集者'],
  });
});

describe('the lane of a profile is of kind spawn', () => {
  test('also when the profile is written in another case, or its name cannot be that of a lane', () => {
    const spawned = lanesOfProfiles(['Coder', ' Jo Ann', '編集者']);
    expect(['coder', 'jo-ann', 'writer'].map((lane) => kindOf(lane, spawned))).toEqual([
      'spawn',
      'spawn',
      'persistent',
    ]);
  });
});
