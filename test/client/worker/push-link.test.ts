/** What goes over a push link: credits, claims and their acknowledgements, and what is heard of claims. */
import { describe, expect, test, vi } from 'vitest';
import type { PushedClaim } from '../../../src/contract/frames.ts';
import { claim, ok, refusal, turn, usePushLinks } from './push-link-site.ts';

const { claims, comeBack, live, newest } = usePushLinks();

describe('a push link', () => {
  test('says hello with what it was given, then sets the credits, once', async () => {
    const { link, socket } = await live({ version: '1.2', tokens: false, crashOnDisconnect: true }, 3);
    expect(socket.sent).toEqual([
      {
        type: 'hello',
        id: 'hello',
        lane: 'work',
        worker: 'w',
        version: '1.2',
        tokens: false,
        crash_on_disconnect: true,
      },
      { type: 'credit', id: 'credit', lane: 'work', credits: 3 },
    ]);
    link.setCredits(3);
    socket.receive(ok('credit', { credits: 3 }));
    await turn();
    expect(socket.credits).toEqual([3]);
  });

  test('acknowledges what came in one chunk before the worker is given any of it', async () => {
    const written: unknown[] = [];
    const { socket } = await live({ onClaim: () => written.push(newest().writes.at(-1)) }, 2);
    socket.receive(claim('run_1'), claim('run_2'));
    await turn();
    expect(written).toEqual(['claim_ack claim_ack', 'claim_ack claim_ack']);
    expect(socket.framesOf('claim_ack').map((frame) => frame['run_id'])).toEqual(['run_1', 'run_2']);
  });

  test('sends what one turn of the event loop leads to in one write, and credits once', async () => {
    const ends: Promise<unknown>[] = [];
    const { socket, link } = await live(
      {
        onClaim: ({ run_id }) =>
          ends.push(Promise.resolve().then(() => link.end(run_id, { verb: 'complete', body: {} }))),
      },
      2,
    );
    socket.receive(ok('credit'), claim('run_1'), claim('run_2'));
    await turn();
    await turn();
    expect(socket.writes).toEqual(['hello', 'credit', 'claim_ack claim_ack', 'complete complete']);
    socket.receive(...socket.framesOf('complete').map((frame) => ok(frame['id'])));
    await Promise.all(ends);
    for (const room of [1, 2]) link.setCredits(room);
    await turn();
    expect(socket.credits).toEqual([2, 2]);
  });

  test('forgets claims whose acknowledgement can not be sent any more', async () => {
    const { link, socket } = await live({}, 2);
    socket.receive(claim('run_1'), { type: 'drain', reconnect_after_ms: 0 });
    await turn();
    expect([claims, socket.framesOf('claim_ack')]).toEqual([[], []]);
    const next = await comeBack();
    expect(next.credits, 'there is room for another').toEqual([2]);
    next.receive(ok('credit'), claim('run_2'), claim('run_3'));
    await turn();
    link.setCredits(2);
    await turn();
    expect(next.credits).toEqual([2, 2]);
  });

  test('counts claims that the worker has not been given yet against the credits that it names', async () => {
    const { link, socket } = await live({}, 2);
    socket.receive(ok('credit'), claim('run_1'), claim('run_2'));
    link.setCredits(2); // It knows of neither.
    await turn();
    expect(socket.credits).toEqual([2]);
    link.setCredits(1);
    await turn();
    expect(socket.credits).toEqual([2, 1]);
  });

  test.each([
    ['refused', refusal('credit', 'claim_mode_mismatch')],
    ['dropped', { ...refusal('', 'claim_mode_mismatch'), id: undefined }],
  ])(
    'says that no claim comes any more when its credits are %s, and goes on to speak for those it has',
    async (_, frame) => {
      const ended: string[] = [];
      const { link, socket } = await live({ onCreditsEnded: ({ code }) => ended.push(code) }, 2);
      socket.receive(ok('credit'), claim('run_1'), frame, frame);
      await link.stopClaims();
      link.setCredits(5);
      await vi.advanceTimersByTimeAsync(5_000);
      await turn();
      expect([ended, socket.credits, link.state]).toEqual([['claim_mode_mismatch'], [2], 'live']);
      void link.heartbeat('run_1', {}).catch(() => undefined);
      expect(socket.framesOf('heartbeat')).toHaveLength(1);
    },
  );

  test('hears that its lane was taken over, and watches nothing for it', async () => {
    const takers: string[] = [];
    const { socket, link } = await live({ onTakenOver: (worker) => takers.push(worker) }, 1);
    socket.receive({ type: 'taken_over', lane: 'work', worker: 'other' });
    expect([takers, link.state]).toEqual([['other'], 'live']);
    expect(socket.sent.map((frame) => frame['type'])).toEqual(['hello', 'credit']);
  });

  test('hands a claim on before it says that the claim is gone', async () => {
    const heard: string[] = [];
    const onClaim = ({ run_id }: PushedClaim) => heard.push(`has ${run_id}`);
    const { socket } = await live({ onClaim, onClaimLost: (runId) => heard.push(`lost ${runId}`) }, 1);
    socket.receive(claim('run_1'), { ...refusal('', 'claim_lost'), id: undefined, run_id: 'run_1' });
    expect(heard).toEqual(['has run_1', 'lost run_1']);
  });

  test('asks again for credits that were refused for a reason that passes', async () => {
    const { link, socket } = await live({}, 2);
    socket.receive(refusal('credit', 'database_unavailable'));
    link.setCredits(3);
    await turn();
    expect(socket.credits, 'not at once').toEqual([2]);
    await vi.advanceTimersByTimeAsync(1000);
    await turn();
    expect(socket.credits).toEqual([2, 3]);
  });

  test('tells of a claim that was taken from it, or whose acknowledgement came too late', async () => {
    const lost: unknown[] = [];
    const { socket } = await live({ onClaimLost: (runId, error) => lost.push([runId, error.code]) }, 1);
    socket.receive({ ...refusal('', 'claim_lost'), id: undefined, run_id: 'run_1' });
    expect(lost).toEqual([['run_1', 'claim_lost']]);
  });

  test('hands on cancels and messages, and ignores frames it does not know', async () => {
    const heard: unknown[] = [];
    const { socket, link } = await live({
      onCancel: ({ run_id }) => heard.push(run_id),
      onSteer: ({ message }) => heard.push(message.text),
    });
    socket.receive(
      { type: 'cancel', run_id: 'run_1', deadline_at: '2026-01-01T00:00:00.000Z', reason: null },
      { type: 'steer', run_id: 'run_1', message: { id: 'msg_1', text: 'faster', at: '' } },
      { type: 'of_a_newer_server' },
    );
    socket.emit('message', { data: 'not JSON' });
    expect([heard, link.state]).toEqual([['run_1', 'faster'], 'live']);
  });

  test('hands a claim on before what comes about it in the same chunk', async () => {
    const heard: string[] = [];
    const { socket } = await live(
      { onClaim: () => heard.push('claim'), onCancel: () => heard.push('cancel') },
      1,
    );
    socket.receive(claim('run_1'), { type: 'cancel', run_id: 'run_1', deadline_at: '', reason: null });
    await turn();
    expect([heard, socket.framesOf('claim_ack').length]).toEqual([['claim', 'cancel'], 1]);
  });

  test('has stopped claims when the server has answered 0, and gives the worker those that came before', async () => {
    const { link, socket } = await live({}, 2);
    socket.receive(ok('credit'));
    await turn();
    let isStopped = false;
    const stopped = link.stopClaims().then(() => {
      isStopped = true;
    });
    await turn();
    expect([socket.credits, isStopped]).toEqual([[2, 0], false]);
    socket.receive(claim('run_1'), ok('credit'));
    await stopped;
    expect(claims).toEqual(['run_1']);
    socket.emit('close', { code: 1006 });
    expect((await comeBack()).credits).toEqual([]);
  });

  test('has stopped claims when the last that was granted has come, and when the socket is gone', async () => {
    const first = await live({}, 1);
    first.socket.receive(ok('credit'), claim('run_1'));
    await first.link.stopClaims();
    const second = await live({}, 1);
    second.socket.receive(ok('credit'));
    await turn();
    const stopped = second.link.stopClaims();
    second.socket.emit('close', { code: 1006 });
    await stopped;
    expect(second.link.state).toBe('backing_off');
  });
});
