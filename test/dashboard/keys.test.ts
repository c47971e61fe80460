/** What the page of keys asks the server for, without a page. */
import { describe, expect, test } from 'vitest';
import { endText, endWarning, latestEntry } from '../../src/dashboard/keys/key-end.ts';
import { newKey, parseBoards, signInRequest } from '../../src/dashboard/keys/key-form.ts';

describe('a new key', () => {
  test('of a lane is of one board and one lane', () => {
    const entries = { role: 'lane', name: 'press', boards: 'default', lane: 'factory', owner: 'ignored' };
    expect(newKey(entries)).toEqual({ role: 'lane', name: 'press', board: 'default', lane: 'factory' });
  });

  test('of another role has the boards that were named, or leaves them to the server', () => {
    expect(newKey({ role: 'observer', name: ' wall ', boards: 'a, b' })).toEqual({
      role: 'observer',
      name: 'wall',
      boards: ['a', 'b'],
    });
    expect(newKey({ role: 'orchestrator', name: 'x', boards: '', owner: 'gateway' })).toEqual({
      role: 'orchestrator',
      name: 'x',
      owner: 'gateway',
    });
  });

  test('expires at the instant that the local time of the person means', () => {
    const { expires_at: at } = newKey({ role: 'observer', name: 'x', expires_at: '2026-11-21T12:00' });
    expect(at).toBe(new Date(2026, 10, 21, 12).toISOString());
  });

  test('without a role that is known has the least rights', () => {
    expect(newKey({ name: 'x' }).role).toBe('observer');
  });
});

test('a sign-in link always says its role: the default of the server is an admin', () => {
  expect(signInRequest({ role: 'observer', boards: '*', name: 'Kim' })).toEqual({
    role: 'observer',
    boards: ['*'],
    name: 'Kim',
  });
});

test('boards are separated by commas or spaces', () => {
  expect(parseBoards(' a,b  c ')).toEqual(['a', 'b', 'c']);
  expect(parseBoards(' ')).toBeUndefined();
});

describe('the end of a key', () => {
  const END = '2026-11-22T12:00:30.000Z';
  const written = (at: string): string => `<${at}>`;
  const signIn = { expires_at: END, session: true };

  test('is warned of where the issuer ends, and nowhere else', () => {
    const lane = 'lanekeeper lane key factory';
    expect(endWarning({ expires_at: null, session: false }, lane, written)).toBeNull();
    expect(endWarning(signIn, lane, written)).toMatch(
      /with your sign-in at <2026-.*“lanekeeper lane key factory”/,
    );
    expect(endWarning({ ...signIn, session: false }, lane, written)).toContain('with your key at');
  });

  test('is said as the server has set it, with what else ends then', () => {
    expect(endText({ expires_at: null }, signIn, written)).toContain('does not end');
    expect(endText({ expires_at: END }, signIn, written)).toBe(`It ends on <${END}>, with your sign-in.`);
    const sooner = '2026-11-22T11:00:00.000Z';
    expect(endText({ expires_at: sooner }, signIn, written)).toBe(`It ends on <${sooner}>.`);
  });

  test('may be entered up to the issuer’s own, in the person’s time', () => {
    expect(latestEntry({ expires_at: null, session: false })).toBeUndefined();
    const latest = latestEntry(signIn) ?? '';
    expect(latest).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d$/);
    expect(Date.parse(END) - new Date(latest).getTime()).toBe(30_000);
  });
});
