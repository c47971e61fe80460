/** Handlers of the SDK beside a real server: what they are given, what they may say, and what comes of their end. */
import { describe, expect, test } from 'vitest';
import { Block, Fatal, RetryAfter } from '../../../src/client/worker/handler-end.ts';
import type { TestBoard } from '../../fixtures/board.ts';
import { eventually } from '../../fixtures/eventually.ts';
import { aborted, modesWithSocket, promised, useWorkerSites } from './worker-site.ts';

const { openSite } = useWorkerSites();

const lastRun = async (board: TestBoard, task: string) => (await board.runs(task)).at(-1);

describe('what a handler throws', () => {
  const cases: { what: string; thrown: () => unknown; status: string; run: object; task?: object }[] = [
    {
      what: 'an error: the attempt has failed, and is tried again',
      thrown: () => new RangeError('too far'),
      status: 'scheduled',
      run: { outcome: 'failed', error: 'RangeError: too far' },
      task: { consecutive_failures: 1 },
    },
    {
      what: 'something that is no error: the same',
      thrown: () => 'just text',
      status: 'scheduled',
      run: { outcome: 'failed', error: 'just text' },
    },
    {
      what: 'RetryAfter: it is given back for so long, and nothing is counted',
      thrown: () => new RetryAfter(90_000, 'the press is warming up'),
      status: 'scheduled',
      run: { outcome: 'released' },
      task: { consecutive_failures: 0 },
    },
    {
      what: 'Fatal: nobody tries it again',
      thrown: () => new Fatal('no such part'),
      status: 'blocked',
      run: { outcome: 'failed', error: 'no such part' },
      task: { blocked: { kind: 'gave_up' } },
    },
    {
      what: 'Block: it waits for what it needs',
      thrown: () => new Block({ kind: 'needs_input', reason: 'which colour?' }),
      status: 'blocked',
      run: { outcome: 'blocked' },
      task: { blocked: { kind: 'needs_input', reason: 'which colour?' }, consecutive_failures: 0 },
    },
  ];
  test.each(cases)('$what', async ({ thrown, status, run, task }) => {
    const { board, start } = await openSite();
    const { id } = await board.task('work', { max_failures: 5, backoff: { base_seconds: 300 } });
    const { worker, log } = start(() => Promise.reject(thrown()));
    await eventually('it has ended', async () => (await board.read(id)).status === status);
    expect(await board.read(id)).toMatchObject(task ?? {});
    expect(await lastRun(board, id)).toMatchObject(run);
    await worker.stop();
    expect(log.join('\n')).not.toMatch(/could not be reported/);
  });
});

describe('a handler', () => {
  test('finds the checkpoint of an earlier attempt, and what people said to it then', async () => {
    const { board, client, start } = await openSite();
    const { id } = await board.task('work', { max_failures: 3, backoff: { base_seconds: 0 } });
    await client.tasks.steer(id, 'mind the gap');
    const seen: unknown[] = [];
    const { worker } = start(async (_, context) => {
      seen.push([context.attempt, context.checkpoint, context.handoff.messages.map(({ text }) => text)]);
      if (context.attempt === 1) {
        await context.progress(0.5, 'half of it', { checkpoint: { line: 7 }, metadata: { speed: 2 } });
        throw new Error('the power went');
      }
      return { summary: 'all of it' };
    });
    await board.untilStatus(id, 'done');
    await worker.stop();
    expect(seen).toEqual([
      [1, null, ['mind the gap']],
      [2, { line: 7 }, ['mind the gap']],
    ]);
    expect(await board.runs(id)).toMatchObject([
      { outcome: 'failed', checkpoint: { line: 7 }, metadata: { speed: 2 } },
      { outcome: 'completed' },
    ]);
  });

  test('goes on being heard of while its worker drains, however short the lease', async () => {
    const { board, start } = await openSite();
    const { id } = await board.task('work');
    const [began, finish] = [promised(), promised()];
    const { worker, ended } = start(
      async (_, context) => {
        began.resolve();
        await finish.promise;
        context.log('still here');
      },
      { leaseSeconds: 1 },
    );
    await began.promise;
    const stopped = worker.stop();
    const claimedAt = Date.now();
    await eventually('the lease was renewed three times over', async () => {
      const { claim } = await board.read(id);
      return claim !== null && Date.parse(claim.lease_expires_at) - claimedAt > 3_000;
    });
    finish.resolve();
    await stopped;
    expect(await ended).toBe('ended');
    expect(await board.read(id)).toMatchObject({ status: 'done', attempt: 1 });
  });

  test.each(modesWithSocket)(
    'whose claim was taken from it is told at once, and reports nothing (%s)',
    async (mode) => {
      const { board, start } = await openSite({ claim_mode: mode });
      const { id } = await board.task('work');
      const reason = promised<string>();
      const { worker, log } = start(
        async (_, { signal }) => {
          reason.resolve((await aborted(signal)).reason);
          return { summary: 'too late' };
        },
        { concurrency: 1, tasksMax: 1 },
      );
      await board.untilStatus(id, 'running');
      await board.operate(id, 'reclaim', {});
      expect(await reason.promise).toBe('claim_lost');
      await worker.stop();
      expect(await board.runs(id)).toMatchObject([{ outcome: 'reclaimed', summary: null }]);
      expect(log.join('\n')).toContain('lost');
    },
  );

  test('that takes longer than it may is told, and has failed', async () => {
    const { board, start } = await openSite();
    const { id } = await board.task('work', { backoff: { base_seconds: 300 } });
    const reason = promised<string>();
    const { worker } = start(
      async (_, { signal }) => {
        reason.resolve((await aborted(signal)).reason);
        signal.throwIfAborted();
      },
      { timeoutSeconds: 0.05 },
    );
    expect(await reason.promise).toBe('timeout');
    await board.untilStatus(id, 'scheduled');
    expect(await lastRun(board, id)).toMatchObject({ outcome: 'failed', error: 'timed out after 0.05 s' });
    await worker.stop();
  });

  test('that does not care about its signal keeps nobody from leaving: its claim is given back, and the log says so', async () => {
    const { board, start } = await openSite();
    const { id } = await board.task('work');
    const { worker, ended, log } = start(() => new Promise(() => undefined), {
      drainSeconds: 0,
      graceSeconds: 0.05,
    });
    await board.untilStatus(id, 'running');
    await worker.stop();
    expect(await ended).toBe('ended');
    expect(await board.read(id)).toMatchObject({ status: 'ready', consecutive_failures: 0 });
    expect(log.join('\n')).toContain('goes on although it was told to stop');
  });

  test('prints streams and lines, which people read in order', async () => {
    const { board, client, start } = await openSite();
    const { id } = await board.task('work');
    const { worker } = start(async (_, context) => {
      context.log('first');
      await context.output('second\nthird');
      await context.output(new Response('fourth\nfi').body ?? '');
      await context.output(
        (async function* () {
          yield 'six';
          yield new TextEncoder().encode('th\n');
        })(),
      );
    });
    await board.untilStatus(id, 'done');
    const { lines } = await client.tasks.output(id);
    expect(lines.map(({ text }) => text)).toEqual(['first', 'second', 'third', 'fourth', 'fi', 'sixth']);
    await worker.stop();
  });

  test('makes tasks and delegations in the name of its own, and collects what comes of them', async () => {
    const { board, start } = await openSite();
    await board.lane('parts');
    const { id } = await board.task('work');
    const results = promised<unknown>();
    const { worker } = start(async (_, context) => {
      const { id: extra } = await context.createTask({ title: 'an extra', lane: 'parts' });
      const { delegation } = await context.delegate({ lane: 'parts', goal: 'a wheel' });
      await context.comment('it has begun');
      const collected = await context.collect(delegation?.id ?? '');
      results.resolve([extra, collected.status, collected.results?.map(({ summary }) => summary)]);
    });
    const { worker: helper } = start((task) => Promise.resolve({ summary: `made ${task.title}` }), {
      lane: 'parts',
      concurrency: 2,
    });
    expect(await results.promise).toEqual([expect.stringMatching(/^task_/), 'completed', ['made a wheel']]);
    await board.untilStatus(id, 'done');
    await Promise.all([worker.stop(), helper.stop()]);
  });

  test('waits for room to delegate, of which its claim is not told, no longer than a moment', async () => {
    const { board, client, start } = await openSite();
    await board.lane('parts');
    await client.boards.patch(board.name, { settings: { delegation_capacity: 1 } });
    const { id } = await board.task('work');
    const waits = promised<string>();
    const { worker } = start(async (_, context) => {
      const child = { lane: 'parts', goal: 'a wheel' };
      const { delegation: first } = await context.delegate(child);
      const onWait = () => waits.resolve(first?.id ?? '');
      const { delegation } = await context.delegate({ ...child, onCapacity: 'wait', onWait });
      return { summary: delegation?.id ?? '' };
    });
    const first = await waits.promise;
    // Past the look that follows upon the refusal: from here on nothing tells the claim that there is room.
    await client.events.list({ after: 'now', kinds: 'lane.updated' }, { waitSeconds: 1 });
    await client.delegations.cancel(first);
    const freedAtMs = performance.now();
    const { summary } = await board.untilStatus(id, 'done');
    expect(performance.now() - freedAtMs).toBeLessThan(6_000);
    expect(summary).toMatch(/^deleg_/);
    await worker.stop();
  });

  test('hands its work to a reviewer, whose handler sends it back', async () => {
    const { board, start } = await openSite();
    await board.lane('check');
    const { id } = await board.task('work');
    const { worker } = start(async (_, context) => {
      if (context.handoff.review !== null) return { summary: `again: ${context.handoff.review}` };
      await context.requestReview({ reviewer: 'check', summary: 'look' });
      await expect(context.block({ reason: 'no' })).rejects.toThrow('ended already');
      return { summary: 'counts no more' };
    });
    const { worker: reviewer } = start(
      async (_, context) => void (await context.requestChanges('paint it red')),
      {
        lane: 'check',
      },
    );
    expect(await board.untilStatus(id, 'done')).toMatchObject({ summary: 'again: paint it red' });
    await Promise.all([worker.stop(), reviewer.stop()]);
  });
});
