/** What the form of a board's settings reads, says and sends, without a page. */
import { describe, expect, test } from 'vitest';
import { type Board, LanekeeperError } from '../../../src/client/index.ts';
import { patchBoard } from '../../../src/contract/boards.ts';
import { entryOf, readEntry, wordsOf } from '../../../src/dashboard/board/settings/setting-entry.ts';
import { refusalOf } from '../../../src/dashboard/board/settings/setting-problems.ts';
import {
  SETTINGS,
  type Setting,
  type SettingPointer,
  type SettingValue,
} from '../../../src/dashboard/board/settings/settings.ts';
import {
  bodyOf,
  changedSince,
  type Entries,
  type FieldState,
  fieldsOf,
  lossOf,
  NO_ENTRIES,
  unclearOf,
  unsavedOf,
  withEntry,
  withEntryKept,
  withoutEntry,
} from '../../../src/dashboard/board/settings/settings-draft.ts';
import { timeEntry, timeWords } from '../../../src/dashboard/board/settings/typed-time.ts';

const DAY = 86_400;

const BOARD: Board = {
  name: 'default',
  title: 'The factory',
  description: null,
  settings: {
    paused: false,
    stranded_after_seconds: 300,
    delegation_capacity: 3,
    synthesizer_lane: null,
    synthesize_platforms: ['telegram'],
    default_owner: 'gateway',
    retention: {
      events_seconds: null,
      finished_tasks_seconds: 90 * DAY,
      runs_seconds: null,
      output_seconds: null,
      deliveries_seconds: null,
      messages_seconds: null,
    },
  },
  counts: {} as Board['counts'],
  cursor: 'c1',
  version: 1,
  created_at: '2026-11-21T11:00:00Z',
  updated_at: '2026-11-21T11:00:00Z',
};
const EVENTS = '/settings/retention/events_seconds';
const FINISHED = '/settings/retention/finished_tasks_seconds';
const CAPACITY = '/settings/delegation_capacity';
const STRANDED = '/settings/stranded_after_seconds';

function boardWith(settings: Partial<Board['settings']>, more: Partial<Board> = {}): Board {
  return { ...BOARD, ...more, settings: { ...BOARD.settings, ...settings } };
}

function settingAt(pointer: SettingPointer): Setting {
  const setting = SETTINGS.find((each) => each.pointer === pointer);
  if (setting === undefined) throw new Error(`there is no setting ${pointer}`);
  return setting;
}

function fieldAt(pointer: SettingPointer, entries: Entries, board = BOARD): FieldState {
  const field = fieldsOf(board, entries).find(({ setting }) => setting.pointer === pointer);
  if (field === undefined) throw new Error(`there is no field ${pointer}`);
  return field;
}

/** As if somebody had typed them one after the other, into the board as it was then. */
function entered(texts: Partial<Record<SettingPointer, string>>, board = BOARD): Entries {
  let entries = NO_ENTRIES;
  for (const [pointer, text] of Object.entries(texts))
    entries = withEntry(entries, fieldAt(pointer as SettingPointer, entries, board), text);
  return entries;
}

const pointersOf = (fields: readonly FieldState[]) => fields.map(({ setting }) => setting.pointer);
const sent = (entries: Entries, board = BOARD) => bodyOf(fieldsOf(board, entries));

describe('a time', () => {
  test.each([
    [null, ' days'],
    [30 * DAY, '30 days'],
    [5400, '90 minutes'],
    [7200, '2 hours'],
    [61, '61 seconds'],
  ])('of %s is entered as "%s", in the largest unit that divides it', (seconds, entry) => {
    expect(timeEntry(seconds)).toBe(entry);
    expect(readEntry(settingAt(EVENTS), entry)).toEqual({ isValue: true, value: seconds });
  });

  test('is said in words as it is, not about', () => {
    expect([DAY, 25 * 3600, 60, 1, 90_061].map(timeWords)).toEqual([
      '1 day',
      '25 hours',
      '1 minute',
      '1 second',
      '90,061 seconds',
    ]);
  });

  test.each(['1.5 days', '1e3 days', '-1 days', 'soon days', '0x10 days', '99999999999999999999 days'])(
    'is not "%s": that is no number, and never for ever',
    (entry) => {
      expect(readEntry(settingAt(EVENTS), entry)).toMatchObject({
        isValue: false,
        complaint: expect.stringContaining('whole number'),
      });
    },
  );

  test('that nobody may leave out is asked for', () => {
    expect(readEntry(settingAt(STRANDED), ' hours')).toEqual({
      isValue: false,
      complaint: 'This must not be empty.',
    });
    expect(readEntry(settingAt(EVENTS), ' hours')).toEqual({ isValue: true, value: null });
  });

  test('beyond its range is told the range in words', () => {
    expect(readEntry(settingAt(STRANDED), '31 days')).toEqual({
      isValue: false,
      complaint: 'This must be from 1 second to 30 days.',
    });
  });
});

describe('a setting', () => {
  const values: readonly (readonly [SettingPointer, SettingValue, string])[] = [
    ['/title', 'The factory', 'The factory'],
    ['/title', null, 'its name'],
    ['/settings/paused', true, 'yes'],
    ['/settings/synthesize_platforms', ['telegram', 'discord'], 'telegram, discord'],
    ['/settings/synthesize_platforms', [], 'none'],
    ['/settings/default_owner', null, 'nobody'],
    [CAPACITY, 100, '100'],
    [EVENTS, null, 'for ever'],
    [EVENTS, DAY, '1 day'],
  ];
  for (const [pointer, value, words] of values)
    test(`${pointer} of ${JSON.stringify(value)} is read as it was entered, and is "${words}"`, () => {
      const setting = settingAt(pointer);
      expect(readEntry(setting, entryOf(setting, value))).toEqual({ isValue: true, value });
      expect(wordsOf(setting, value)).toBe(words);
    });

  test('that is a list has one a line, without what is empty', () => {
    expect(readEntry(settingAt('/settings/synthesize_platforms'), ' a \n\nb, c\n')).toEqual({
      isValue: true,
      value: ['a', 'b, c'],
    });
  });

  test.each(['', '2.5', '1e1', 'many', '0', '101'])('of the kind of a count is not "%s"', (entry) => {
    expect(readEntry(settingAt(CAPACITY), entry).isValue).toBe(false);
  });

  test('has the bounds of the contract', () => {
    const isTaken = (setting: Setting, value: number): boolean => {
      const change = { ...fieldAt(setting.pointer, NO_ENTRIES), change: { value } };
      return patchBoard.body.safeParse(bodyOf([change])).success;
    };
    const bounded = SETTINGS.filter(({ kind }) => kind === 'time' || kind === 'count');
    expect(bounded.length).toBeGreaterThan(7);
    for (const setting of bounded) {
      const [least, most] = setting.range ?? [Number.NaN, Number.NaN];
      const tried = [least - 1, least, most, most + 1].map((value) => isTaken(setting, value));
      expect(tried, setting.pointer).toEqual([false, true, true, false]);
    }
  });

  test('is as on a new board where the server does not know it', () => {
    const { retention: _, ...settings } = BOARD.settings;
    const old = { ...BOARD, settings } as unknown as Board;
    expect(fieldAt(EVENTS, NO_ENTRIES, old).now).toBeNull();
  });
});

describe('what was entered', () => {
  test('is nothing to send or to lose where nothing was touched, or is as it was', () => {
    expect(sent(NO_ENTRIES)).toEqual({});
    expect(fieldAt('/title', NO_ENTRIES).text).toBe('The factory');
    const back = withEntry(
      entered({ '/title': 'x' }),
      fieldAt('/title', entered({ '/title': 'x' })),
      'The factory',
    );
    expect(back).toEqual({});
    const same = entered({ [FINISHED]: '2160 hours', '/title': ' The factory ' });
    expect(sent(same)).toEqual({});
    expect(unsavedOf(fieldsOf(BOARD, same))).toEqual([]);
    expect(fieldAt(FINISHED, same).text).toBe('2160 hours');
  });

  test('is sent where it is another, and only that, each at its place; what was emptied is null', () => {
    const entries = entered({
      '/title': ' Works ',
      '/description': 'two\nlines',
      '/settings/paused': 'yes',
      '/settings/default_owner': ' ',
      [EVENTS]: '30 days',
      [FINISHED]: ' days',
    });
    expect(sent(entries)).toEqual({
      title: 'Works',
      description: 'two\nlines',
      settings: {
        paused: true,
        default_owner: null,
        retention: { events_seconds: 30 * DAY, finished_tasks_seconds: null },
      },
    });
    expect(patchBoard.body.safeParse(sent(entries)).success).toBe(true);
  });

  test('is unclear where it is no value: not sent, but not lost either', () => {
    const entries = entered({ [CAPACITY]: 'many', '/title': 'Works' });
    const fields = fieldsOf(BOARD, entries);
    expect(pointersOf(unclearOf(fields))).toEqual([CAPACITY]);
    expect(pointersOf(unsavedOf(fields))).toEqual(['/title', CAPACITY]);
    expect(fieldAt(CAPACITY, entries)).toMatchObject({ text: 'many', complaint: expect.any(String) });
  });

  test('deletes history only where a time becomes shorter than it was', () => {
    const loss = (pointer: SettingPointer, text: string) =>
      lossOf(fieldAt(pointer, entered({ [pointer]: text })));
    expect(loss(EVENTS, '30 days')).toEqual({
      pointer: EVENTS,
      what: 'events of the log',
      before: 'for ever',
      after: '30 days',
    });
    expect(loss(FINISHED, '89 days')).toMatchObject({ before: '90 days', after: '89 days' });
    expect([loss(FINISHED, '91 days'), loss(FINISHED, ' days'), loss(STRANDED, '1 seconds')]).toEqual([
      null,
      null,
      null,
    ]);
    const retained = SETTINGS.filter(({ pointer }) => pointer.startsWith('/settings/retention/'));
    expect(retained.filter(({ loses }) => loses === undefined)).toEqual([]);
  });
});

describe('while somebody else changes the board', () => {
  const mine = entered({ '/title': 'mine', [EVENTS]: '30 days' });
  const theirs = boardWith({ delegation_capacity: 7 }, { title: 'theirs', version: 2 });

  test('what nobody has touched here is what it is now, and said to have changed', () => {
    const fields = fieldsOf(theirs, mine);
    expect(fieldAt(CAPACITY, mine, theirs)).toMatchObject({ text: '7', change: null });
    expect(pointersOf(changedSince(BOARD, fields))).toEqual(['/title', CAPACITY]);
    expect(bodyOf(fields)).not.toHaveProperty('settings.delegation_capacity');
  });

  test('what both have set is contested until one of the two is chosen', () => {
    const contested = fieldAt('/title', mine, theirs);
    expect(contested).toMatchObject({ text: 'mine', now: 'theirs', isContested: true });
    expect(pointersOf(unclearOf(fieldsOf(theirs, mine)))).toEqual(['/title']);
    const kept = withEntryKept(mine, contested);
    expect(unclearOf(fieldsOf(theirs, kept))).toEqual([]);
    expect(sent(kept, theirs)).toMatchObject({ title: 'mine' });
    const given = withoutEntry(mine, contested);
    expect(fieldAt('/title', given, theirs)).toMatchObject({ text: 'theirs', isContested: false });
    expect(sent(given, theirs)).toEqual({ settings: { retention: { events_seconds: 30 * DAY } } });
    // And again, when they change it once more.
    expect(fieldAt('/title', kept, { ...theirs, title: 'other' }).isContested).toBe(true);
  });

  test('typing on in what is contested does not settle it', () => {
    const contested = fieldAt('/title', mine, theirs);
    const typed = withEntry(mine, contested, 'mine too');
    expect(fieldAt('/title', typed, theirs)).toMatchObject({ text: 'mine too', isContested: true });
  });

  test('typing past the old value does not settle it either, and wins over nothing unseen', () => {
    const contested = fieldAt('/title', mine, theirs);
    const past = withEntry(mine, contested, 'The factory');
    expect(fieldAt('/title', past, theirs)).toMatchObject({ text: 'The factory', isContested: true });
    const on = withEntry(past, fieldAt('/title', past, theirs), 'The factory of mine');
    expect(pointersOf(unclearOf(fieldsOf(theirs, on)))).toEqual(['/title']);
    expect(sent(withEntryKept(on, fieldAt('/title', on, theirs)), theirs)).toMatchObject({
      title: 'The factory of mine',
    });
  });

  test('what they have set to the same is done, and nobody else’s change', () => {
    const same = { ...theirs, title: 'mine' };
    expect(fieldAt('/title', mine, same)).toMatchObject({ change: null, isContested: false, isThere: true });
    expect(pointersOf(changedSince(BOARD, fieldsOf(same, mine)))).toEqual([CAPACITY]);
  });

  test('the same in other words gives way to what they set, and is not sent over it', () => {
    const words = entered({ [FINISHED]: '2160 hours' });
    const retention = { ...BOARD.settings.retention, finished_tasks_seconds: 7 * DAY };
    const changed = boardWith({ retention });
    expect(fieldAt(FINISHED, words, changed)).toMatchObject({ text: '7 days', change: null });
  });

  test('what is no value is contested, too', () => {
    const typed = entered({ [CAPACITY]: 'many' });
    expect(fieldAt(CAPACITY, typed, theirs)).toMatchObject({ text: 'many', isContested: true });
  });
});

describe('what the server refuses', () => {
  const refused = (errors: readonly { pointer: string; detail: string }[]) =>
    new LanekeeperError({ code: 'invalid_request', status: 400, title: 'x', detail: 'y', errors });

  test('is said at the settings that it is about', () => {
    const error = refused([
      { pointer: EVENTS, detail: 'too big' },
      { pointer: '/settings/synthesize_platforms/1', detail: 'too long' },
      { pointer: '/settings/synthesize_platforms/2', detail: 'too short' },
    ]);
    expect(refusalOf(error)).toEqual({
      problems: {
        [EVENTS]: 'too big',
        '/settings/synthesize_platforms': 'line 2: too long; line 3: too short',
      },
      rest: null,
    });
  });

  test('is said of all where it is of none of them, whatever else it is about', () => {
    const error = refused([
      { pointer: '/title', detail: 'too long' },
      { pointer: '/settings/new_one', detail: 'is not a field' },
    ]);
    expect(refusalOf(error)).toEqual({ problems: { '/title': 'too long' }, rest: error });
    const plain = new Error('no answer');
    expect(refusalOf(plain)).toEqual({ problems: {}, rest: plain });
    const forbidden = refused([]);
    expect(refusalOf(forbidden).rest).toBe(forbidden);
  });
});
