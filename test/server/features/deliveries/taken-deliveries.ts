/** What a gateway does with the deliveries of a board: takes them, and says what became of each. */
import type { LeasedDelivery } from '../../../../src/contract/deliveries.ts';
import { expectStatus, type TestBoard } from '../../../fixtures/board.ts';
import type { CallAnswer } from '../../../fixtures/server.ts';

type Body = Readonly<Record<string, unknown>>;

export async function take(board: TestBoard, body: Body = {}): Promise<LeasedDelivery[]> {
  const answer = await board.call('POST', '/deliveries/claims', { body: { max: 10, ...body } });
  return expectStatus(answer, 200).body.deliveries;
}

export function say(
  board: TestBoard,
  delivery: LeasedDelivery | undefined,
  verb: string,
  body: Body = {},
): Promise<CallAnswer> {
  return board.server.call('POST', `/v1/deliveries/${delivery?.id}/${verb}`, {
    body: { lease_id: delivery?.lease_id, ...body },
  });
}
