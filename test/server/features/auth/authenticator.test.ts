import { expect, test } from 'vitest';
import type { Sql } from '../../../../src/server/db/client.ts';
import { Authenticator } from '../../../../src/server/features/auth/authenticator.ts';
import type { ClaimTokens } from '../../../../src/server/features/auth/claim-tokens.ts';
import type { ProblemError } from '../../../../src/server/kernel/problem-error.ts';

/** Mistyped, so that nothing is looked up. */
const WRONG = 'Bearer lk_admin_wrong';

test('guesses from all addresses of an IPv6 network are counted together, and each is told with its own address', async () => {
  const refusals: [string, string][] = [];
  const authenticator = new Authenticator(
    null as unknown as Sql,
    null as unknown as ClaimTokens,
    (code, address) => refusals.push([code, address]),
  );
  const codeFor = (address: string): Promise<string> =>
    authenticator.authenticate(WRONG, address).then(
      () => 'let in',
      (error: ProblemError) => error.code,
    );
  for (let host = 1; host <= 300; host += 1)
    expect(await codeFor(`2001:db8:1:2::${host.toString(16)}`)).toBe('unauthenticated');
  expect(await codeFor('2001:db8:1:2:dead:beef::1')).toBe('rate_limited');
  expect(refusals.at(-1)).toEqual(['rate_limited', '2001:db8:1:2:dead:beef::1']);
  expect(await codeFor('2001:db8:1:3::1')).toBe('unauthenticated');
  expect(refusals.at(-1)).toEqual(['unauthenticated', '2001:db8:1:3::1']);
});
