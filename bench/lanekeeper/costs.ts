/** What single requests cost: one task created, claimed and completed at a time, on boards and lanes chosen at random. */
import type { CostInput, CostResult, Layout } from '../driver.ts';
import { boardNamesOf, laneNamesOf } from '../layout.ts';
import type { HeldClaim } from './bench-board.ts';
import type { ServerAccess } from './server-access.ts';

/** Boards and lanes that are there already stay as they are. */
export async function layOut(access: ServerAccess, layout: Layout): Promise<void> {
  for (const board of boardNamesOf(layout)) {
    await access.callAsAdmin({ method: 'PUT', path: `/v1/boards/${board}`, body: {} });
    for (const lane of laneNamesOf(layout))
      await access.callAsAdmin({ method: 'PUT', path: `/v1/boards/${board}/lanes/${lane}`, body: {} });
  }
}

export async function sampleCosts(access: ServerAccess, { layout, samples }: CostInput): Promise<CostResult> {
  const boards = boardNamesOf(layout);
  const lanes = laneNamesOf(layout);
  const result = { createMs: [] as number[], claimMs: [] as number[], completeMs: [] as number[] };
  const [connection] = await access.openConnections(1);
  if (connection === undefined) throw new Error('a connection was opened');
  for (let sample = 0; sample < samples; sample += 1) {
    const board = `/v1/boards/${oneOf(boards)}`;
    const lane = oneOf(lanes);
    const admin = { method: 'POST', token: access.adminKey } as const;
    await timed(result.createMs, () =>
      connection.call({ ...admin, path: `${board}/tasks`, body: { title: 'a task', lane } }),
    );
    const { claims } = await timed(result.claimMs, () =>
      connection.call<{ claims: readonly HeldClaim[] }>({
        ...admin,
        path: `${board}/lanes/${lane}/claims`,
        body: { worker: 'worker-0' },
      }),
    );
    const [claim] = claims;
    if (claim === undefined) throw new Error(`nothing to claim on ${lane} of ${board}`);
    await timed(result.completeMs, () =>
      connection.call({
        method: 'POST',
        path: `/v1/runs/${claim.run_id}/complete`,
        token: claim.token,
        body: {},
      }),
    );
  }
  connection.close();
  return result;
}

async function timed<T>(times: number[], work: () => Promise<T>): Promise<T> {
  const startedAt = performance.now();
  const value = await work();
  times.push(performance.now() - startedAt);
  return value;
}

function oneOf(names: readonly string[]): string {
  return names[Math.floor(Math.random() * names.length)] ?? '';
}
