/** Binds the routes of keys and of the caller's identity. */

import { createKey, deleteKey, listKeys, rotateSigningKey, whoami } from '../../../contract/keys.ts';
import { createSignInCode, signIn as signInRoute, signOut } from '../../../contract/sign-in.ts';
import { jwks } from '../../../contract/system.ts';
import type { Bind } from '../../http/bind-route.ts';
import type { Idempotency } from '../../http/idempotency.ts';
import { badPageToken, nextPageToken, readPageToken } from '../../http/page-token.ts';
import { pageRows } from '../../http/request-parameters.ts';
import { present } from '../../kernel/assert.ts';
import type { Clock } from '../../kernel/clock.ts';
import { parseId } from '../../kernel/ids.ts';
import type { KeyService } from './service.ts';
import type { SignIn } from './sign-in.ts';
import { JWKS_MAX_AGE_SECONDS, type SigningKeys } from './signing-keys.ts';

interface AuthRoutes {
  readonly keys: KeyService;
  readonly signIn: SignIn;
  readonly signingKeys: SigningKeys;
  readonly idempotency: Idempotency;
  readonly clock: Clock;
}

export function bindAuthRoutes(
  bind: Bind,
  { keys, signIn, signingKeys, idempotency, clock }: AuthRoutes,
): void {
  bind(createKey, (exchange) =>
    idempotency.run(exchange, null, async (tx) => {
      const issued = await keys.issue(tx, exchange.caller, exchange.body);
      return { status: 201, body: issued, remembered: { key: issued.key } };
    }),
  );

  bind(listKeys, async ({ caller, query }) => {
    const rows = pageRows(query);
    const after = readPageToken(query.page_token, 'keys', 1)?.[0] ?? null;
    if (after !== null && parseId('key', after) === null) throw badPageToken();
    const found = await keys.list(caller, after, rows + 1);
    return {
      status: 200,
      body: {
        keys: found.slice(0, rows),
        next_page_token: nextPageToken(found, rows, 'keys', (key) => [key.id]),
      },
    };
  });

  bind(deleteKey, async ({ caller, params }) => {
    const { name, role, boards } = await keys.revoke(caller, params.key);
    const [only] = boards;
    const board = boards.length === 1 && only !== undefined && only !== '*' ? only : null;
    return { status: 204, audited: { board, data: { name, role, boards } } };
  });

  bind(createSignInCode, async ({ caller, body }) => ({
    status: 201,
    body: await signIn.createCode(caller, body),
  }));

  bind(signInRoute, async ({ body, remoteAddress }) => ({
    status: 200,
    body: await signIn.signIn(body.code, remoteAddress),
  }));

  bind(signOut, async ({ caller }) => {
    await signIn.signOut(caller);
    return { status: 204 };
  });

  bind(rotateSigningKey, async () => {
    const { kid, signsFromMs } = await signingKeys.rotate();
    return { status: 200, body: { signing_key: { kid, signs_at: new Date(signsFromMs).toISOString() } } };
  });

  bind(jwks, () => ({
    status: 200,
    body: signingKeys.jwks(),
    headers: { 'Cache-Control': `public, max-age=${JWKS_MAX_AGE_SECONDS}` },
  }));

  bind(whoami, async ({ caller }) => {
    const principal = present(caller, 'whoami is not an open route');
    const serverTime = (): string => new Date(clock.now()).toISOString();
    if (principal.kind === 'key') {
      const key = await keys.get(principal);
      return { status: 200, body: { principal: { type: 'key', key }, at: serverTime() } };
    }
    return {
      status: 200,
      body: {
        at: serverTime(),
        principal: {
          type: 'claim',
          run_id: principal.runId,
          task_id: principal.taskId,
          board: principal.board,
          lane: principal.lane,
          worker: principal.worker,
          attempt: principal.attempt,
          scope: principal.scope,
          expires_at: new Date(principal.expiresAtSeconds * 1000).toISOString(),
        },
      },
    };
  });
}
