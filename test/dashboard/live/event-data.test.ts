import { expect, test } from 'vitest';
import {
  numberOf,
  objectOf,
  stringOf,
  textOf,
  textsOf,
  timeOf,
} from '../../../src/dashboard/live/event-data.ts';
import { progressText, shareOf } from '../../../src/dashboard/ui/progress-words.ts';

test('what is not as expected counts as not given', () => {
  expect([stringOf(''), stringOf('a'), stringOf(1)]).toEqual(['', 'a', null]);
  expect([textOf(''), textOf('a'), textOf(null)]).toEqual([null, 'a', null]);
  expect([numberOf(0), numberOf(Number.NaN), numberOf('1')]).toEqual([0, null, null]);
  expect([timeOf('1970-01-01T00:00:01Z'), timeOf('soon'), timeOf(5)]).toEqual([1000, null, null]);
  expect(textsOf(['a', 1, 'b'])).toEqual(['a', 'b']);
  expect([objectOf([]), objectOf(null), objectOf({ a: 1 })]).toEqual([{}, {}, { a: 1 }]);
});

test('progress from 0 to 1 is a share, any other number itself', () => {
  expect([0, 0.256, 1, 12, -1].map(progressText)).toEqual(['0 %', '26 %', '100 %', '12', '-1']);
  expect([shareOf(0.5), shareOf(3)]).toEqual([0.5, null]);
});
