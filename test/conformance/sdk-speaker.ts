/** Speaks through the SDK as its users do: each operation by the client's own method for it. */
import { connect } from '../../src/client/client.ts';
import { LanekeeperError } from '../../src/client/errors.ts';
import type { ArgumentsOf, OperationId, ReplyOf } from '../../src/client/operation-types.ts';
import { SDK_METHODS } from '../client/fixtures/sdk-methods.ts';
import type { FollowQuery, Speaker, SpeakOptions } from './speaker.ts';
import { Refusal } from './speaker.ts';

export function sdkSpeaker(url: string, adminKey: string): Speaker {
  const known = connect({ url, token: adminKey });
  const unknown = connect({ url });
  const call = async <Id extends OperationId>(
    id: Id,
    args: ArgumentsOf<Id>,
    { token, ...options }: SpeakOptions = {},
  ): Promise<ReplyOf<Id>> => {
    const method = SDK_METHODS[id];
    if (typeof method !== 'function') throw new Error(`${id} has no method`);
    const client = token === null ? unknown : known;
    try {
      return (await method(client, args, token == null ? options : { ...options, token })) as ReplyOf<Id>;
    } catch (error) {
      if (error instanceof LanekeeperError) throw new Refusal(error.status, error.problem);
      throw error;
    }
  };
  const follow = (board: string, query: FollowQuery) => known.watch({ board, ...query });
  return { call, ways: [{ name: 'a watch', follow }] };
}
