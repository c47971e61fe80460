/** How many calls of one key may wait, and that a wait which nobody follows any more does nothing. */
import { expect, test } from 'vitest';
import { toolsFor } from '../../../../src/server/features/mcp/service.ts';
import type { ToolCall } from '../../../../src/server/features/mcp/tool.ts';
import { Waits } from '../../../../src/server/features/mcp/waits.ts';
import { ProblemError } from '../../../../src/server/kernel/problem-error.ts';
import { ORCHESTRATOR } from '../../../fixtures/principals.ts';

test('a key has so many waits and no more, another key its own, and each is free again when it is over', async () => {
  const waits = new Waits();
  const ends: (() => void)[] = [];
  const wait = () => new Promise<void>((resolve) => void ends.push(resolve));
  const running = Array.from({ length: 100 }, () => waits.during(ORCHESTRATOR, wait));
  const refusal = expect.objectContaining({ code: 'rate_limited', headers: { 'Retry-After': '1' } });
  await expect(waits.during(ORCHESTRATOR, wait)).rejects.toEqual(refusal);
  await waits.during({ ...ORCHESTRATOR, keyId: 'key_y' }, async () => undefined);
  for (const end of ends) end();
  await Promise.all(running);
  await expect(waits.during(ORCHESTRATOR, () => Promise.reject(new Error('broken')))).rejects.toThrow(
    'broken',
  );
  expect(await waits.during(ORCHESTRATOR, async () => 'free')).toBe('free');
});

test('nothing is delegated for a client that went away while it waited for room', async () => {
  let asked = 0;
  const gone = new AbortController();
  const calls = {
    call: async () => {
      asked += 1;
      setImmediate(() => gone.abort());
      throw new ProblemError('delegation_capacity', 'As many as may are running.');
    },
  };
  const call = {
    caller: ORCHESTRATOR,
    exchange: { signal: gone.signal },
    parts: { calls, waits: new Waits() },
    bytesMax: 20_000,
    whileWaiting: (wait: Promise<unknown>) => wait,
  } as unknown as ToolCall;
  const input = { goal: 'x', lane: 'work', on_capacity: 'wait', wait_seconds: 45 };
  const delegate = toolsFor(ORCHESTRATOR).get('delegate');
  await expect(delegate?.run(call, input)).rejects.toMatchObject({ code: 'delegation_capacity' });
  expect(asked).toBe(1);
});
