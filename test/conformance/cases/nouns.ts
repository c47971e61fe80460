/** The nouns that hold still: server, boards, lanes and keys. */
import { expect, test } from 'vitest';
import { eventually } from '../../fixtures/eventually.ts';
import { codeOf, type World } from '../speaker.ts';

export function nounCases(world: World): void {
  test('the server says that it lives, that it is ready, who is asking, and describes itself', async () => {
    const open = { token: null };
    expect((await world.call('livez', {}, open)).status).toBe('ok');
    expect((await world.call('readyz', {}, open)).status).toBe('ready');
    expect((await world.call('openapiDocument', {}, open)).openapi).toMatch(/^3\.1\./);
    expect((await world.call('asyncapiDocument', {}, open)).asyncapi).toMatch(/^3\./);
    expect((await world.call('jwks', {}, open)).keys.length).toBeGreaterThan(0);
    expect(await world.call('metrics', {})).toContain('# TYPE ');
    expect((await world.call('whoami', {})).principal).toMatchObject({ type: 'key', key: { role: 'admin' } });
    expect(await codeOf(world.call('whoami', {}, open))).toBe('unauthenticated');
  });

  test('a board is made, changed against its version, listed, counted and erased', async () => {
    const board = `${world.board}-2`;
    const params = { board };
    const made = (await world.call('putBoard', { params, body: { title: 'Two' } })).board;
    expect(made).toMatchObject({ name: board, title: 'Two', counts: { ready: 0 } });
    const body = { title: null, settings: { delegation_capacity: 2 } };
    const { version } = made;
    const changed = (await world.call('patchBoard', { params, body }, { ifVersion: version })).board;
    expect(changed).toMatchObject({ title: null, settings: { delegation_capacity: 2 } });
    const late = world.call('patchBoard', { params, body }, { ifVersion: version });
    expect(await codeOf(late)).toBe('version_mismatch');
    const { boards } = await world.call('listBoards', { query: { limit: 200 } });
    expect(boards.map(({ name }) => name)).toContain(world.board);
    await world.call('createTask', { params, body: { title: 'x' } });
    const { counts } = (await world.call('getBoard', { params })).board;
    expect(Object.values(counts).reduce((sum, count) => sum + count, 0)).toBe(1);
    await world.call('deleteBoard', { params });
    expect(await codeOf(world.call('getBoard', { params }))).toBe('not_found');
  });

  test('the statistics of a board have a point for every step of the window, the last one with what is there now', async () => {
    await world.task('counted');
    const { counts } = (await world.call('getBoard', { params: world.here })).board;
    const { stats } = await world.call('getStats', { params: world.here, query: { window: '15m' } });
    expect(stats).toMatchObject({ board: world.board, window: '15m', step_seconds: 60 });
    expect(stats.points).toHaveLength(15);
    expect(Object.keys(stats.points.at(-1)?.depth ?? {}).sort()).toEqual(Object.keys(counts).sort());
    const { stats: usual } = await world.call('getStats', { params: world.here });
    expect([usual.window, usual.points.length]).toEqual(['1h', 60]);
  });

  test('a lane is registered, changed, paused, drained, taken over and deregistered', async () => {
    const params = world.on({ lane: 'noun' });
    const body = { kind: 'persistent', lease_seconds: 60, labels: { site: 'a' } } as const;
    const { lane } = await world.call('putLane', { params, body });
    expect(lane).toMatchObject({ name: 'noun', lease_seconds: 60, paused: false, epoch: expect.any(Number) });
    const patched = await world.call('patchLane', { params, body: { description: 'of a test' } });
    expect(patched.lane).toMatchObject({ description: 'of a test', labels: { site: 'a' } });
    expect((await world.call('pauseLane', { params })).lane.paused).toBe(true);
    expect(await world.claims('noun')).toMatchObject({ claims: [], reason: 'lane_paused' });
    expect((await world.call('resumeLane', { params })).lane).toMatchObject({
      paused: false,
      draining: false,
    });
    expect(await world.claims('noun')).toMatchObject({ claims: [], reason: 'none_ready' });
    await world.task('noun');
    const first = await world.claim('noun', { worker: 'one' });
    expect(await codeOf(world.call('deleteLane', { params }))).toBe('lane_has_claims');
    const takeover = { mode: 'adopt', worker: 'two' } as const;
    const { claims, lane: taken } = await world.call('takeOverLane', { params, body: takeover });
    expect(claims).toMatchObject([{ task: { id: first.task.id }, attempt: 2, worker: 'two' }]);
    expect(taken.epoch).toBe(lane.epoch + 1);
    expect((await world.call('drainLane', { params })).lane.draining).toBe(true);
    const { lanes } = await world.call('listLanes', { params: world.here, query: { limit: 200 } });
    expect(lanes.find(({ name }) => name === 'noun')?.draining).toBe(true);
    await world.call(
      'completeRun',
      { params: { run: claims[0]?.run_id ?? '' }, body: {} },
      { token: claims[0]?.token ?? '' },
    );
    await eventually('it is drained', async () => (await world.call('getLane', { params })).lane.paused);
    await world.call('deleteLane', { params });
    expect(await codeOf(world.call('getLane', { params }))).toBe('lane_not_found');
  });

  test('an import is tried without writing anything, and tells what would become of each task', async () => {
    const at = '2026-01-05T10:00:00.000Z';
    const task = { title: 'from elsewhere', created_at: at, runs: [], comments: [], parents: [] };
    const { tasks, lanes } = await world.call('importTasks', {
      params: world.here,
      body: {
        dry_run: true,
        lanes: [{ name: 'imported', kind: 'persistent' }],
        tasks: [
          { ...task, external_ref: 'T-1', status: 'done', runs: [{ outcome: 'completed', started_at: at }] },
          { ...task, external_ref: 'T-2', status: 'ready', parents: ['T-1'] },
        ],
      },
    });
    expect(lanes).toEqual(['imported']);
    expect(tasks.map(({ external_ref: ref, created, status }) => [ref, created, status])).toEqual([
      ['T-1', true, 'done'],
      ['T-2', true, 'ready'],
    ]);
    expect(await codeOf(world.call('getTask', { params: world.on({ task: 'T-1' }) }))).toBe('not_found');
    expect(await codeOf(world.call('getLane', { params: world.on({ lane: 'imported' }) }))).toBe(
      'lane_not_found',
    );
  });

  test('a key may do what its role says on its boards, until it is revoked', async () => {
    const body = { role: 'observer', name: 'reader', board: world.board } as const;
    const { key, secret } = await world.call('createKey', { body });
    const reader = { token: secret ?? '' };
    expect((await world.call('whoami', {}, reader)).principal).toMatchObject({
      type: 'key',
      key: { id: key.id },
    });
    expect((await world.call('getBoard', { params: world.here }, reader)).board.name).toBe(world.board);
    const create = world.call('createTask', { params: world.here, body: { title: 'x' } }, reader);
    expect(await codeOf(create)).toBe('forbidden');
    const ids: string[] = [];
    for (let token: string | undefined; ; ) {
      const page = await world.call('listKeys', { query: { limit: 200, page_token: token } });
      ids.push(...page.keys.map(({ id }) => id));
      if (page.next_page_token === null) break;
      token = page.next_page_token;
    }
    expect(ids).toContain(key.id);
    await world.call('deleteKey', { params: { key: key.id } });
    expect(await codeOf(world.call('whoami', {}, reader))).toBe('unauthenticated');
  });

  test('a sign-in code is good for one key, which may sign itself out', async () => {
    const { code, url } = await world.call('createSignInCode', {
      body: { role: 'observer', boards: [world.board] },
    });
    expect(url.endsWith(`/#code=${code}`)).toBe(true);
    const { key, secret } = await world.call('signIn', { body: { code } }, { token: null });
    expect(key).toMatchObject({ role: 'observer', boards: [world.board], session: true });
    const person = { token: secret };
    expect((await world.call('getBoard', { params: world.here }, person)).board.name).toBe(world.board);
    expect(await codeOf(world.call('signIn', { body: { code } }, { token: null }))).toBe('unauthenticated');
    await world.call('signOut', {}, person);
    expect(await codeOf(world.call('whoami', {}, person))).toBe('unauthenticated');
    expect(await codeOf(world.call('signOut', {}))).toBe('forbidden');
  });

  test('a key of a lane works that lane and no other', async () => {
    await world.lane('keyed');
    await world.lane('other');
    const { secret } = await world.call('createLaneKey', {
      params: world.on({ lane: 'keyed' }),
      body: { name: 'w' },
    });
    const worker = { token: secret ?? '' };
    expect((await world.claims('keyed', {}, worker)).claims).toEqual([]);
    expect(await codeOf(world.claims('other', {}, worker))).toBe('forbidden');
  });
}
