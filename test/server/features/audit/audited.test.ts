/** Whatever changes something is in the audit log, or there is a reason why not. */
import { expect, test } from 'vitest';
import { ROUTES } from '../../../../src/contract/routes.ts';
import { AUDITED, NOT_AUDITED } from '../../../../src/server/features/audit/audited.ts';

const changing = ROUTES.filter(({ method }) => method !== 'get').map(({ operationId }) => operationId);

test('every operation that changes something is recorded, or listed with the reason', () => {
  const missing = changing.filter((operation) => !(operation in AUDITED) && !(operation in NOT_AUDITED));
  expect(missing).toEqual([]);
});

test('nothing is in both lists, and nothing that is no such operation in either', () => {
  const listed = [...Object.keys(AUDITED), ...Object.keys(NOT_AUDITED)];
  expect(listed.filter((operation, place) => listed.indexOf(operation) !== place)).toEqual([]);
  expect(listed.filter((operation) => !changing.includes(operation))).toEqual([]);
});
