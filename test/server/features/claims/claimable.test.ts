import { describe, expect, test } from 'vitest';
import type { Event } from '../../../../src/contract/events.ts';
import { claimableOf } from '../../../../src/server/features/claims/claiming/claimable.ts';

const event = (kind: Event['kind'], fields: Partial<Event> = {}): Event => ({
  cursor: 'c',
  seq: 1,
  board: 'b',
  kind,
  at: '2026-01-01T00:00:00.000Z',
  actor: { type: 'system', id: 'test' },
  data: {},
  ...fields,
});

const said = (...events: Event[]) => {
  const { ready, room, changed } = claimableOf(events);
  return { ready: Object.fromEntries(ready), room: Object.fromEntries(room), changed: [...changed] };
};

const NOTHING = { ready: {}, room: {}, changed: [] };

describe('what events say about claimable work', () => {
  test('is one more ready task of the lane for each that became ready, however it did', () => {
    const became = (kind: Event['kind'], before: string) =>
      event(kind, { lane: 'a', data: { status_before: before, status_after: 'ready' } });
    expect(
      said(
        became('task.created', ''),
        became('task.unblocked', 'blocked'),
        became('task.released', 'running'),
        event('task.created', { lane: 'b', data: { status_after: 'ready' } }),
      ),
    ).toEqual({ ...NOTHING, ready: { a: 3, b: 1 } });
  });

  test('is room for another claim when one ends in any other way', () => {
    const ended = (after: string) =>
      event('task.completed', { lane: 'a', data: { status_before: 'running', status_after: after } });
    expect(said(ended('done'), ended('blocked'), ended('scheduled'))).toEqual({ ...NOTHING, room: { a: 3 } });
  });

  test('may be what a lock has hidden from a claim', () => {
    expect(said(event('task.updated', { lane: 'a' }), event('task.commented', { lane: 'a' }))).toEqual({
      ...NOTHING,
      ready: { a: 2 },
    });
  });

  test('is a gate that may have opened: of one lane, or of the whole board', () => {
    expect(said(event('lane.resumed', { lane: 'a' }), event('lane.updated', { lane: 'b' }))).toMatchObject({
      changed: ['a', 'b'],
    });
    expect(said(event('board.updated'))).toMatchObject({ changed: [null] });
  });

  test('is nothing otherwise', () => {
    expect(
      said(
        event('task.claimed', { lane: 'a', data: { status_before: 'ready', status_after: 'running' } }),
        event('task.heartbeat', { lane: 'a' }),
        event('task.created', { data: { status_after: 'ready' } }),
        event('task.created', { lane: 'a', data: { status_after: 'triage' } }),
      ),
    ).toEqual(NOTHING);
  });
});
