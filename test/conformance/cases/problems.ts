/** What is wrong is refused with the code that is written down, whoever asks. */
import { expect, test } from 'vitest';
import { codeOf, refusalOf, type World } from '../speaker.ts';

export function problemCases(world: World): void {
  test('a bad request is refused with its code, and points at the field', async () => {
    const { here: params } = world;
    const title = await refusalOf(world.call('createTask', { params, body: { title: '' } }));
    expect([title.code, title.status, title.problem.errors?.[0]?.pointer]).toEqual([
      'invalid_request',
      400,
      '/title',
    ]);
    // A field that the contract does not know: a user of the SDK who passes it has a compiler against him.
    const unknown = { title: 'x', nope: 1 } as { title: string };
    expect(await codeOf(world.call('createTask', { params, body: unknown }))).toBe('invalid_request');
    expect(await codeOf(world.call('listTasks', { params, query: { limit: 0 } }))).toBe('invalid_request');
    expect(await codeOf(world.call('listTasks', { params, query: { page_token: 'x' } }))).toBe(
      'invalid_cursor',
    );
    expect(await codeOf(world.call('getTask', { params: world.on({ task: 'none' }) }))).toBe('not_found');
    expect(await codeOf(world.call('getLane', { params: world.on({ lane: 'none' }) }))).toBe(
      'lane_not_found',
    );
    expect(await codeOf(world.claims('none'))).toBe('lane_not_found');
    expect(await codeOf(world.call('getBoard', { params: { board: `${world.board}-none` } }))).toBe(
      'not_found',
    );
  });

  test('a wrong credential is refused before anything else', async () => {
    const nonsense = { token: 'lk_admin_nonsense' };
    expect(await codeOf(world.call('getBoard', { params: world.here }, nonsense))).toBe('unauthenticated');
    expect(await codeOf(world.call('getBoard', { params: world.here }, { token: null }))).toBe(
      'unauthenticated',
    );
  });

  test('one key of a request is one request', async () => {
    const options = { idempotencyKey: `${world.board}-once` };
    const args = { params: world.here, body: { title: 'once' } };
    const { task } = await world.call('createTask', args, options);
    expect((await world.call('createTask', args, options)).task.id).toBe(task.id);
    const other = world.call('createTask', { params: world.here, body: { title: 'twice' } }, options);
    expect(await codeOf(other)).toBe('idempotency_mismatch');
  });

  test('a lane that may not claim, and one that is claimed another way, say so', async () => {
    await world.lane('looks-on', { allowed_status_mutations: 'none' });
    expect(await codeOf(world.claims('looks-on'))).toBe('lane_may_not_claim');
    await world.lane('pushed', { claim_mode: 'push' });
    expect(await codeOf(world.claims('pushed'))).toBe('claim_mode_mismatch');
    await world.lane('empty');
    const { id } = await world.task('pushed');
    expect(await codeOf(world.claims('empty', { task_id: id }))).toBe('task_not_claimable');
  });
}
