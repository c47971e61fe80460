/** The log: read, waited for, followed in every way there is, and beside it the snapshot. */
import { expect, test } from 'vitest';
import type { Event } from '../../../src/contract/events.ts';
import { codeOf, type Speaker, type World } from '../speaker.ts';

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

  test('snapshot, counts and log show one instant', async () => {
    const snapshot = await world.call('getSnapshot', { params: world.here });
    expect(snapshot.truncated).toBe(false);
    // Who comes and goes may be written at any moment.
    const query = { after: snapshot.cursor, kinds: 'task.*' };
    expect((await world.call('listEvents', { params: world.here, query })).events).toEqual([]);
    const { counts } = (await world.call('getBoard', { params: world.here })).board;
    const unfinished = Object.entries(counts)
      .filter(([status]) => !['done', 'cancelled', 'archived'].includes(status))
      .reduce((sum, [, count]) => sum + count, 0);
    expect(snapshot.tasks).toHaveLength(unfinished);
  });
}
