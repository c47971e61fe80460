/** What a command has done is done, whatever becomes of the database behind it. */
import { expect, test, vi } from 'vitest';
import { whileOpen } from '../../../src/server/commands/while-open.ts';

const databaseThatClosesWith = (close: () => Promise<void>) => ({
  url: '',
  clusterDir: null,
  isLocal: true,
  close: vi.fn(close),
});
const fails = () => Promise.reject(new Error('it hangs'));

test('a database that does not stop in good order is a complaint, not the failure of what was done with it', async () => {
  const written = vi.spyOn(process.stderr, 'write').mockReturnValue(true);
  const database = databaseThatClosesWith(fails);
  expect(await whileOpen(database, () => Promise.resolve('done'))).toBe('done');
  expect(written.mock.calls.flat().join('')).toContain('did not stop in good order: it hangs');
  written.mockRestore();
});

test('work that fails is told as that, and the database is closed all the same', async () => {
  for (const close of [fails, () => Promise.resolve()]) {
    const database = databaseThatClosesWith(close);
    const work = whileOpen(database, () => Promise.reject(new Error('no room')));
    await expect(work).rejects.toThrow('no room');
    expect(database.close).toHaveBeenCalledOnce();
  }
});
