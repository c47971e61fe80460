import { expect, it } from 'vitest';
import type { CycleResult } from '../../bench/driver.ts';
import { measureLoops } from '../../bench/window.ts';

const FULL: CycleResult = { cycles: 10, windowMs: 1000, ranLow: false };

it('refuses a measurement in which a loop found nothing to do although there was work', async () => {
  const working = new Promise<void>(() => undefined);
  await expect(measureLoops([Promise.resolve(), working], later(FULL))).rejects.toThrow('1 of 2 loops');
  await expect(measureLoops([working, working], later(FULL))).resolves.toBe(FULL);
  const low = { ...FULL, ranLow: true };
  await expect(measureLoops([Promise.resolve(), working], later(low))).resolves.toBe(low);
});

it('fails with the first loop that fails, without waiting for the window', async () => {
  const never = new Promise<CycleResult>(() => undefined);
  await expect(measureLoops([Promise.reject(new Error('lost a claim'))], never)).rejects.toThrow(
    'lost a claim',
  );
});

function later(result: CycleResult): Promise<CycleResult> {
  return new Promise((resolve) => setImmediate(() => resolve(result)));
}
