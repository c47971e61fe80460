/** Waits of minutes, made of requests of a minute: they outlive a server that is restarted meanwhile, and end in time. */
import { describe, expect, test } from 'vitest';
import { LanekeeperError, UnreachableError } from '../../src/client/errors.ts';
import { type PollOptions, waitLong } from '../../src/client/long-wait.ts';
import { instantTiming } from './fixtures/scripted-server.ts';

const away = () => new UnreachableError('refused', { url: 'http://x', cause: undefined });
const refused = () => new LanekeeperError({ code: 'not_found', status: 404, title: 't', detail: 'd' });

/** Each step is an answer, or what the request fails with; the last one stays. */
function scripted(steps: readonly (string | Error)[], startMs = 0) {
  const timing = instantTiming();
  const asked: PollOptions[] = [];
  const ask = async (options: PollOptions): Promise<string> => {
    const step = steps[Math.min(asked.length, steps.length - 1)] ?? '';
    asked.push(options);
    if (step instanceof Error) throw step;
    await timing.wait((options.waitSeconds ?? 0) * 1000);
    return step;
  };
  const wait = (seconds: number) =>
    waitLong(timing, { ask, isOver: (reply) => reply === 'over', endsAtMs: startMs + seconds * 1000 });
  return { asked, wait, timing };
}

describe('a long wait', () => {
  test('sits out a server that goes away after it has answered, with its own pauses', async () => {
    const { asked, wait, timing } = scripted(['going', ...Array.from({ length: 12 }, away), 'over']);
    expect(await wait(600)).toBe('over');
    // Each request but the first is made once: this loop is what repeats.
    expect(asked.map(({ retry }) => retry?.attemptsMax)).toEqual([undefined, ...Array(13).fill(1)]);
    expect(timing.now()).toBeGreaterThan(90_000);
  });

  test('ends with the absence once its time is over', async () => {
    const { wait, timing } = scripted(['going', away()]);
    await expect(wait(90)).rejects.toBeInstanceOf(UnreachableError);
    expect(timing.now()).toBe(90_000);
  });

  test('sits out neither a server that never answered nor a refusal', async () => {
    const never = scripted([away()]);
    await expect(never.wait(600)).rejects.toBeInstanceOf(UnreachableError);
    const gone = scripted(['going', refused()]);
    await expect(gone.wait(600)).rejects.toMatchObject({ code: 'not_found' });
    expect([never.asked.length, gone.asked.length]).toEqual([1, 2]);
  });

  test('slows down where its requests are not held back', async () => {
    const timing = instantTiming();
    const asked: PollOptions[] = [];
    const ask = (options: PollOptions) => Promise.resolve(asked.push(options));
    await waitLong(timing, { ask, isOver: () => false, endsAtMs: 10_000 });
    expect(asked).toHaveLength(11);
  });

  test('answers with what there is when its time is over, having asked at least once', async () => {
    const { asked, wait } = scripted(['going']);
    expect(await wait(90)).toBe('going');
    expect(asked.map(({ waitSeconds }) => waitSeconds)).toEqual([60, 30]);
    expect(await scripted(['going']).wait(0)).toBe('going');
  });
});
