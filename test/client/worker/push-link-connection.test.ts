/** How a push link comes to its socket, and what it makes of one that is closed, silent or refused. */
import { describe, expect, test, vi } from 'vitest';
import { claim, ok, refusal, turn, usePushLinks } from './push-link-site.ts';

const { answer, comeBack, greet, live, makeLink, newest, sockets, states } = usePushLinks();

describe('a push link', () => {
  test('comes back after a close, says hello again and asks for as much as there is room for', async () => {
    const { link, socket } = await live({}, 3);
    socket.receive(ok('credit'), claim('run_1'));
    await turn();
    const lost = link.end('run_1', { verb: 'complete', body: {} });
    socket.emit('close', { code: 1006 });
    await expect(lost).rejects.toMatchObject({ code: 'unreachable' });
    await expect(link.heartbeat('run_1', {})).rejects.toMatchObject({ code: 'unreachable' });
    const next = await comeBack();
    expect(next.framesOf('hello')).toHaveLength(1);
    expect(next.credits).toEqual([2]);
    const ended = link.end('run_1', { verb: 'complete', body: {} });
    next.receive(ok(next.framesOf('complete')[0]?.['id'], { outcome: 'completed', task_status: 'done' }));
    expect(await ended).toEqual({ outcome: 'completed', taskStatus: 'done' });
    expect(states.filter((state) => state === 'live')).toHaveLength(2);
  });

  test('waits as long as a server that drains asks', async () => {
    const { socket } = await live();
    socket.receive({ type: 'drain', reconnect_after_ms: 500 });
    expect(socket.isClosedByUs).toBe(true);
    await vi.advanceTimersByTimeAsync(499);
    expect(sockets).toHaveLength(1);
    await vi.advanceTimersByTimeAsync(1);
    await turn();
    expect(sockets).toHaveLength(2);
  });

  test.each([
    [4409, 'superseded'],
    [4401, 'unauthenticated'],
    [4403, 'forbidden'],
  ])('ends with a typed error when it is closed with %d', async (code, name) => {
    const { running, socket, link } = await live();
    socket.emit('close', { code, reason: '' });
    await expect(running).rejects.toMatchObject({ name: 'LanekeeperError', code: name });
    await vi.advanceTimersByTimeAsync(60_000);
    expect([sockets.length, link.state]).toEqual([1, 'ended']);
  });

  test('comes back once from a 4409 that a hello of its own may have caused', async () => {
    const link = makeLink();
    const running = link.run();
    running.catch(() => undefined);
    await turn();
    newest().emit('open');
    newest().emit('close', { code: 1006 }); // Its hello may still be written.
    const second = await comeBack();
    second.emit('close', { code: 4409 });
    const third = await comeBack();
    third.emit('close', { code: 4409 });
    await expect(running).rejects.toMatchObject({ code: 'superseded' });
    expect(sockets).toHaveLength(3);
  });

  test('ends with the problem that refuses its hello', async () => {
    const { running, socket } = await live({}, 1);
    socket.receive(refusal('hello', 'claim_mode_mismatch'));
    await expect(running).rejects.toMatchObject({ code: 'claim_mode_mismatch' });
    expect(socket.isClosedByUs).toBe(true);
  });

  test('gives up a socket that leaves its credits without an answer', async () => {
    const { socket, link } = await live({}, 1);
    for (let second = 0; second < 30; second += 1) {
      socket.receive(refusal('alive', 'not_found'));
      await vi.advanceTimersByTimeAsync(1000);
    }
    expect([socket.isClosedByUs, link.state]).toEqual([true, 'backing_off']);
  });

  test('asks a quiet server for a sign of life, and gives up one that has none', async () => {
    const { socket, link } = await live();
    await vi.advanceTimersByTimeAsync(20_000);
    expect(socket.framesOf('unwatch')).toHaveLength(1);
    socket.receive(refusal('alive', 'not_found'));
    await vi.advanceTimersByTimeAsync(44_000);
    expect([socket.framesOf('unwatch').length, link.state]).toEqual([2, 'live']);
    await vi.advanceTimersByTimeAsync(1000);
    expect([socket.isClosedByUs, states.at(-1)]).toEqual([true, 'backing_off']);
  });

  test('gives up a socket that owes a reply, however much else comes over it', async () => {
    const { socket, link } = await live();
    const asked = link.heartbeat('run_1', {});
    asked.catch(() => undefined);
    for (let second = 0; second < 30; second += 1) {
      socket.receive(refusal('alive', 'not_found'));
      await vi.advanceTimersByTimeAsync(1000);
    }
    await expect(asked).rejects.toMatchObject({ code: 'unreachable', mayHaveTakenEffect: true });
    expect(socket.isClosedByUs).toBe(true);
  });

  test('takes nobody for silent after the process itself stood still', async () => {
    const { socket, link } = await live();
    vi.setSystemTime(Date.now() + 100_000);
    await vi.advanceTimersByTimeAsync(1000);
    socket.receive(refusal('alive', 'not_found')); // It lay in the socket's buffer.
    await vi.advanceTimersByTimeAsync(1000);
    expect([link.state, socket.isClosedByUs]).toEqual(['live', false]);
  });

  test('asks for the lane when the upgrade fails, and ends with what that meets', async () => {
    const asked: string[] = [];
    answer((path) => {
      asked.push(path);
      const body = JSON.stringify({ code: 'lane_not_found', title: 'T', detail: 'D', status: 404 });
      return new Response(body, { status: 404, headers: { 'content-type': 'application/problem+json' } });
    });
    const running = makeLink().run();
    running.catch(() => undefined);
    await turn();
    newest().emit('close', { code: 1006 });
    await expect(running).rejects.toMatchObject({ code: 'lane_not_found' });
    expect(asked).toEqual(['/v1/boards/b/lanes/work']);
  });

  test('tries again when the upgrade fails and the server is merely away, and says why', async () => {
    const failures: string[] = [];
    answer(() => {
      throw new TypeError('refused');
    });
    const link = makeLink({ onConnectFailure: (error) => failures.push(error.name) });
    void link.run();
    await turn();
    newest().emit('close', { code: 1006 });
    await turn();
    await comeBack();
    expect([failures, link.state]).toEqual([['UnreachableError'], 'live']);
    link.close();
  });

  test('gives up a hello that nobody answers', async () => {
    const link = makeLink();
    void link.run();
    await turn();
    newest().emit('open');
    await vi.advanceTimersByTimeAsync(15_000);
    expect(states.at(-1)).toBe('backing_off');
    link.close();
  });

  test('leaves when it is told to: run resolves, the socket is closed, and nothing is asked over it', async () => {
    const leaving = new AbortController();
    const link = makeLink();
    const running = link.run(leaving.signal);
    const socket = await greet();
    const asked = link.heartbeat('run_1', {});
    leaving.abort();
    await running;
    await expect(asked).rejects.toMatchObject({ code: 'unreachable' });
    expect([link.state, socket.isClosedByUs]).toEqual(['ended', true]);
    expect(vi.getTimerCount()).toBe(0);
    await expect(link.run()).rejects.toThrow('once');
  });
});
