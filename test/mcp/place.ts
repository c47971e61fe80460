/** A board and lane of a test's own, and the key of the lane. */
import { type Bench, uniqueName } from '../fixtures/bench.ts';

export interface Place {
  readonly board: string;
  readonly key: string;
}

export async function makePlace(bench: Bench): Promise<Place> {
  const board = uniqueName('mcp');
  await bench.api.put(`/v1/boards/${board}`);
  await bench.makeLane(board, 'factory');
  const { body } = await bench.api.post(`/v1/boards/${board}/lanes/factory/keys`);
  return { board, key: body.secret };
}
