/** Where a request came from, and where its outcome returns to. */
import { z } from 'zod';
import { LIMITS } from './constants.ts';
import { absent } from './values.ts';

const Part = z.string().max(LIMITS.originCharactersMax);

const originShape = {
  platform: absent(Part).describe('telegram, discord, cli, …'),
  chat_id: absent(Part).describe('With platform it makes an origin routable: outcomes can return there.'),
  thread_id: absent(Part),
  user_id: absent(Part),
  session_id: absent(Part).describe('The conversation: deliveries to one session go out one at a time.'),
  profile: absent(Part),
  context: absent(z.string().max(LIMITS.originContextCharactersMax)).describe(
    'What was being talked about when it was asked for.',
  ),
};

/** As a request gives it, in a body or in the header Lanekeeper-Origin. */
export const OriginBody = z.strictObject(originShape).meta({ id: 'OriginBody' });
export type OriginBody = z.infer<typeof OriginBody>;

export const Origin = z
  .object({
    platform: z.string().nullable(),
    chat_id: z.string().nullable(),
    thread_id: z.string().nullable(),
    user_id: z.string().nullable(),
    session_id: z.string().nullable(),
    profile: z.string().nullable(),
    context: z.string().nullable(),
  })
  .meta({ id: 'Origin' });
export type Origin = z.infer<typeof Origin>;
