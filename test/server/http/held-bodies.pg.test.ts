/** What a request carries counts where it waits: in the batch that it is gathered into, and in the room for bodies. */
import { expect, onTestFinished, test, vi } from 'vitest';
import { BodyRoom } from '../../../src/server/http/body-room.ts';
import { Batcher, type Submission } from '../../../src/server/kernel/batcher.ts';
import { useBench } from '../../fixtures/bench.ts';

const bench = useBench();

test('operations are gathered with the bytes of their requests, and a batch shares out its own', async () => {
  await bench.makeLane('default', 'work');
  const submit = vi.spyOn(Batcher.prototype, 'submit');
  onTestFinished(() => submit.mockRestore());
  const bytesOf = (at: number): number | undefined =>
    (submit.mock.calls.at(at)?.[2] as Submission | undefined)?.bytes;
  const result = 'x'.repeat(50_000);

  const task = { title: 'a task', lane: 'work', payload: { text: result } };
  expect((await bench.api.post('/v1/boards/default/tasks', task)).status).toBe(201);
  expect(bytesOf(-1)).toBe(JSON.stringify(task).length);
  await bench.makeTask('default', { lane: 'work' });
  await bench.makeTask('default', { lane: 'work' });
  const [first, second, third] = [
    await bench.claim('default', 'work'),
    await bench.claim('default', 'work'),
    await bench.claim('default', 'work'),
  ];
  await bench.api.post(`/v1/runs/${first.run_id}/complete`, { result }, { token: first.token });
  expect(bytesOf(-1)).toBe(JSON.stringify({ result }).length);
  const operations = [second, third].map(({ token }) => ({ op: 'complete', token, result }));
  expect((await bench.api.post('/v1/runs/batch', { operations })).body.results).toMatchObject([
    { ok: true },
    { ok: true },
  ]);
  const half = Math.ceil(JSON.stringify({ operations }).length / 2);
  expect([bytesOf(-1), bytesOf(-2)]).toEqual([half, half]);
});

test('a body is let go with its request, however that ends', async () => {
  const take = vi.spyOn(BodyRoom.prototype, 'take');
  onTestFinished(() => take.mockRestore());
  const large = { title: 'a task', payload: { text: 'x'.repeat(200_000) } };
  const path = '/v1/boards/default/tasks';
  expect((await bench.api.post(path, large)).status).toBe(201);
  expect((await bench.api.post(path, { ...large, title: '' })).status).toBe(400);
  expect((await bench.api.post(`${path}/batch`, { tasks: [large, large] })).status).toBe(201);
  const changes = take.mock.calls.map(([bytes]) => bytes);
  expect(Math.max(...changes)).toBeGreaterThan(400_000);
  expect(changes.reduce((sum, bytes) => sum + bytes, 0)).toBe(0);
});
