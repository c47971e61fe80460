/** The log: read, waited for, followed in every way there is, and beside it the snapshot. */
import { expect, test } from 'vitest';
import type { Event } from '../../../src/contract/events.ts';
import { as, codeOf, type Speaker, useWorld, type World } from '../speaker.ts';

type Way = Speaker['ways'][number];

/** The next events of a way, and then no more of it. */
async function take(events: AsyncIterableIterator<Event>, count: number): Promise<Event[]> {
  const taken: Event[] = [];
  for await (const event of events) {
    taken.push(event);
    if (taken.length === count) break;
  }
  return taken;
}

async function resumes(world: World, way: Way): Promise<void> {
  const after = await world.cursor();
  const { id } = await world.task('logged', { title: way.name });
  const query = { tasks: [id], kinds: ['task.*'] };
  const [made] = await take(way.follow(world.board, { ...query, after }), 1);
  expect(made).toMatchObject({ kind: 'task.created', task_id: id });
  const params = world.on({ task: id });
  await world.call('addComment', { params, body: { body: 'while nobody looked' } });
  const following = take(way.follow(world.board, { ...query, after: made?.cursor ?? '' }), 2);
  await world.call('cancelTask', { params, body: {} });
  expect((await following).map(({ kind }) => kind)).toEqual(['task.commented', 'task.cancelled']);
}

const idsOf = (tasks: readonly { readonly id: string }[]): string[] => tasks.map(({ id }) => id).toSorted();

export function logCases(world: World): void {
  test('the log has every number once, in order, and pages of it join', async () => {
    await world.lane('logged');
    await world.task('logged');
    const whole: Event[] = [];
    for (let after = 'start'; ; ) {
      const page = await world.call('listEvents', { params: world.here, query: { after, limit: 50 } });
      if (page.events.length === 0) break;
      whole.push(...page.events);
      after = page.cursor;
    }
    expect(whole.map(({ seq }) => seq)).toEqual(whole.map((_, index) => index + 1));
  });

  test('a wait for events is answered by the first that matches', async () => {
    await world.lane('logged');
    const after = await world.cursor();
    const query = { after, kinds: 'task.created', lanes: 'logged' };
    const waiting = world.call('listEvents', { params: world.here, query }, { waitSeconds: 20 });
    const { id } = await world.task('logged');
    expect((await waiting).events).toMatchObject([{ kind: 'task.created', task_id: id }]);
    expect(await codeOf(world.call('listEvents', { params: world.here, query: { after: 'made-up' } }))).toBe(
      'invalid_cursor',
    );
  });

  test('the log is followed from a cursor on, and resumed where its reader left off', async () => {
    await world.lane('logged');
    expect(world.speaker.ways.length).toBeGreaterThan(0);
    for (const way of world.speaker.ways) await resumes(world, way);
  });

  // A board of its own: on that of the other cases a retry or a lease may come due between two reads.
  const still = useWorld('still', () => world.speaker);

  test('snapshot, counts and log show one instant', async () => {
    await still.lane('shelf');
    await still.task('shelf');
    const { params, token } = as(await still.claim('shelf'));
    await still.call('completeRun', { params, body: {} }, token);
    const dropped = await still.task('shelf');
    await still.call('cancelTask', { params: still.on({ task: dropped.id }), body: {} });
    const ready = [await still.task('shelf'), await still.task('shelf')];
    const snapshot = await still.call('getSnapshot', { params: still.here });
    expect(snapshot.truncated).toBe(false);
    expect(idsOf(snapshot.tasks)).toEqual(idsOf(ready));
    // Who comes and goes may be written at any moment.
    const kindsAfter = async (after: string) => {
      const query = { after, kinds: 'task.*' };
      const { events } = await still.call('listEvents', { params: still.here, query });
      return events.map(({ kind }) => kind);
    };
    expect(await kindsAfter(snapshot.cursor)).toEqual([]);
    expect(await kindsAfter('start')).toEqual([
      'task.created',
      'task.claimed',
      'task.completed',
      'task.created',
      'task.cancelled',
      'task.created',
      'task.created',
    ]);
    const { counts } = (await still.call('getBoard', { params: still.here })).board;
    const counted = Object.entries(counts).filter(([, count]) => count !== 0);
    expect(Object.fromEntries(counted)).toEqual({ ready: ready.length, cancelled: 1, done: 1 });
  });
}
