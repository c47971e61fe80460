/**
 * Signing in to the dashboard: a one-time code, made by an admin key or printed by the server when it starts, is exchanged for a key that
 * lives for a working day. The code travels in the fragment of a link, which browsers send to nobody.
 */
import { z } from 'zod';
import { Timestamp } from './identifiers.ts';
import { Key, KeyBoards } from './keys.ts';
import { defineRoute } from './route.ts';
import { absent } from './values.ts';

/** What a person signs in as: a lane is no person. */
const SIGN_IN_ROLES = ['admin', 'orchestrator', 'observer'] as const;
export type SignInRole = (typeof SIGN_IN_ROLES)[number];

/** Ours have 40; whatever else is sent is refused without being looked up. */
const CODE_CHARACTERS_MAX = 256;

export const createSignInCode = defineRoute({
  operationId: 'createSignInCode',
  method: 'post',
  path: '/v1/sign-in-codes',
  summary:
    'Make a link that signs one person in to the dashboard, once and within 10 minutes. Nobody grants more than they have.',
  tag: 'keys',
  access: 'authenticated',
  body: z.strictObject({
    role: absent(z.enum(SIGN_IN_ROLES)).describe('Default admin.'),
    boards: absent(KeyBoards).describe('Default: those of the caller.'),
    name: absent(z.string().min(1).max(128)).describe('Of the key that the sign-in gets.'),
  }),
  isBodyOptional: true,
  responses: {
    201: z.object({
      code: z.string(),
      url: z.string().describe('The dashboard of this server, with the code in its fragment.'),
      expires_at: Timestamp,
    }),
  },
  problems: ['not_found'],
});

export const signIn = defineRoute({
  operationId: 'signIn',
  method: 'post',
  path: '/v1/sign-in',
  summary:
    'Exchange a one-time code for a key that lives for 12 hours, or as long as the key that made the code. A code that is wrong, used or expired: 401.',
  tag: 'keys',
  access: 'open',
  body: z.strictObject({ code: z.string().max(CODE_CHARACTERS_MAX) }),
  isCredentialInBody: true,
  responses: { 200: z.object({ key: Key, secret: z.string() }) },
  problems: ['unauthenticated'],
});

export const signOut = defineRoute({
  operationId: 'signOut',
  method: 'post',
  path: '/v1/sign-out',
  summary: 'Revoke the key of the request, when it was made by a sign-in.',
  tag: 'keys',
  access: 'authenticated',
  body: z.strictObject({}),
  isBodyOptional: true,
  responses: { 204: null },
  problems: [],
});
