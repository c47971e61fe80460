import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { boardIdOf, formatId, IdSource, parseId } from '../../../src/server/kernel/ids.ts';

const at = (ms: number) => ({ now: () => ms });
const uuid = fc.uuid();

describe('ids', () => {
  test('every UUID survives the way to the wire and back', () => {
    fc.assert(fc.property(uuid, (value) => parseId('task', formatId('task', value)) === value));
  });

  test('are sorted on the wire as they are in the database', () => {
    fc.assert(
      fc.property(
        uuid,
        uuid,
        (left, right) => left < right === formatId('run', left) < formatId('run', right),
      ),
    );
  });

  test('agree with the example of the TypeID specification', () => {
    const uuidOfExample = '01890a5d-ac96-774b-bcce-b302099a8057';
    expect(formatId('task', uuidOfExample)).toBe('task_01h455vb4pex5vsknk084sn02q');
  });

  test('are refused with another prefix, length, letter or overflow', () => {
    const id = formatId('task', '01890a5d-ac96-774b-bcce-b302099a8057');
    expect(parseId('run', id)).toBeNull();
    expect(parseId('task', id.slice(0, -1))).toBeNull();
    expect(parseId('task', `${id}0`)).toBeNull();
    expect(parseId('task', id.toUpperCase())).toBeNull();
    for (const letter of 'ilou-_') expect(parseId('task', `${id.slice(0, -1)}${letter}`), letter).toBeNull();
    expect(parseId('task', 'task_80000000000000000000000000')).toBeNull();
    expect(parseId('task', 'task_7zzzzzzzzzzzzzzzzzzzzzzzzz')).toBe('ffffffff-ffff-ffff-ffff-ffffffffffff');
  });

  test('nothing but an id is read as one', () => {
    fc.assert(
      fc.property(fc.string(), (text) => {
        const parsed = parseId('task', `task_${text}`);
        return parsed === null || formatId('task', parsed) === `task_${text}`;
      }),
    );
  });
});

describe('a source of ids', () => {
  test('rises strictly within a millisecond, and when the clock steps back', () => {
    let now = 1_800_000_000_000;
    const source = new IdSource({ now: () => now });
    const ids: string[] = [];
    for (let index = 0; index < 3000; index += 1) {
      if (index === 1000) now -= 5000;
      if (index === 2000) now += 5001;
      ids.push(source.next());
    }
    expect([...ids].sort()).toEqual(ids);
    expect(new Set(ids).size).toBe(ids.length);
  });

  test('makes UUIDs of version 7 with the time in front', () => {
    const id = new IdSource(at(0x0123456789ab)).next();
    expect(id).toMatch(/^01234567-89ab-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
  });

  test("carries the board's number in the id of a run", () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 0x7fffffff }), (board) => {
        const id = new IdSource(at(1_800_000_000_000)).next(board);
        return boardIdOf(id) === board && parseId('run', formatId('run', id)) === id;
      }),
    );
  });
});
