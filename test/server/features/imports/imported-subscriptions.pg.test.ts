/** Who was to be told of a task in Hermes is told of it here. */
import { expect, test } from 'vitest';
import { HermesBoard } from '../../../cli/import/hermes-board.ts';
import { expectStatus, type TestBoard } from '../../../fixtures/board.ts';
import { only } from '../../../fixtures/eventually.ts';
import { findingsOf, run, useImportedBoards } from './imported-boards.ts';

const { newBoard } = useImportedBoards();

const NEWER_COLUMNS = [
  'user_id',
  'notifier_profile',
  'delivery_mode',
  'notification_mode',
  'origin_session_id',
]
  .map((name) => `ALTER TABLE kanban_notify_subs ADD COLUMN ${name} TEXT;`)
  .join('');

async function subscriptionsOf(board: TestBoard, task: string) {
  return (await board.call('GET', `/subscriptions?task_id=${task}`)).body.subscriptions;
}

test('a target is subscribed with its manner, owner and origin, and is given the outcome of what was done here', async () => {
  const [board] = await newBoard();
  const hermes = (await HermesBoard.make('new')).exec(NEWER_COLUMNS).task('t_1', 'ready');
  hermes.row('kanban_notify_subs', {
    task_id: 't_1',
    platform: 'telegram',
    chat_id: '-100',
    thread_id: '7',
    user_id: 'u',
    notifier_profile: 'coder',
    delivery_mode: 'notify+wake',
    notification_mode: 'synthesize',
    origin_session_id: 's',
  });
  hermes.row('kanban_notify_subs', {
    task_id: 't_1',
    platform: 'cli',
    chat_id: 'c',
    delivery_mode: 'notify',
  });
  const report = await run(board, await hermes.save());
  expect(report.subscriptions).toEqual({ created: 2, present: 0 });
  const subscriptions = await subscriptionsOf(board, 't_1');
  expect(subscriptions).toHaveLength(2);
  expect(subscriptions).toEqual(
    expect.arrayContaining([
      expect.objectContaining({
        platform: 'telegram',
        chat_id: '-100',
        thread_id: '7',
        user_id: 'u',
        mode: 'synthesize',
        wake: true,
        owner: 'coder',
        origin: expect.objectContaining({ platform: 'telegram', chat_id: '-100', session_id: 's' }),
      }),
      expect.objectContaining({ platform: 'cli', chat_id: 'c', thread_id: '', mode: 'direct', wake: false }),
    ]),
  );

  expectStatus(await board.operate('t_1', 'complete', { summary: 'made' }), 200);
  const { deliveries } = (await board.call('POST', '/deliveries/claims', { body: { platforms: ['cli'] } }))
    .body;
  expect(only<{ text: string }>(deliveries).text).toContain('made');
});

test('boards from before there was a choice wake conversations, and nobody who sits at a terminal', async () => {
  const [board] = await newBoard();
  const hermes = (await HermesBoard.make('new')).task('t_1', 'ready');
  hermes.row('kanban_notify_subs', { task_id: 't_1', platform: 'discord', chat_id: '1' });
  hermes.row('kanban_notify_subs', { task_id: 't_1', platform: 'tui', chat_id: '1' });
  await run(board, await hermes.save());
  const wakes = (await subscriptionsOf(board, 't_1')).map(
    ({ platform, wake }: { platform: string; wake: boolean }) => [platform, wake],
  );
  expect(new Map(wakes)).toEqual(
    new Map([
      ['discord', true],
      ['tui', false],
    ]),
  );
});

test('what was changed here since stays, what is new is added, and what would never tell anything is counted', async () => {
  const [board] = await newBoard();
  const hermes = (await HermesBoard.make('new')).task('t_1', 'ready').task('t_2', 'done');
  hermes.row('kanban_notify_subs', { task_id: 't_1', platform: 'discord', chat_id: '1' });
  await run(board, await hermes.save());
  const changed = { task_id: 't_1', platform: 'discord', chat_id: '1', mode: 'silent' };
  expectStatus(await board.call('PUT', '/subscriptions', { body: changed }), 200);

  hermes.row('kanban_notify_subs', { task_id: 't_1', platform: 'discord', chat_id: '2' });
  hermes.row('kanban_notify_subs', { task_id: 't_1', platform: ' ', chat_id: '2' });
  hermes.row('kanban_notify_subs', { task_id: 't_1', platform: 'discord', chat_id: 'x'.repeat(300) });
  hermes.row('kanban_notify_subs', { task_id: 't_2', platform: 'discord', chat_id: '1' });
  hermes.row('kanban_notify_subs', { task_id: 't_gone', platform: 'discord', chat_id: '1' });
  const path = await hermes.save();
  const promised = await run(board, path, { isDryRun: true });
  const report = await run(board, path);
  expect({ ...promised, dry_run: false }).toEqual(report);
  expect(report.subscriptions).toEqual({ created: 1, present: 1 });
  expect(findingsOf(report)).toEqual({
    subscription_orphaned: 1,
    subscription_over: 1,
    subscription_unusable: 2,
  });
  const modes = (await subscriptionsOf(board, 't_1')).map(
    ({ chat_id, mode }: { chat_id: string; mode: string }) => [chat_id, mode],
  );
  expect(Object.fromEntries(modes)).toEqual({ 1: 'silent', 2: 'direct' });
});
