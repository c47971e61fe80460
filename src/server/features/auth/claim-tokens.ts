/**
 * Claim tokens: a JWT per claim that says who speaks and for which attempt. The token only authenticates; whether the claim still
 * holds is decided by the row. A token that this server signed or has verified is not verified again.
 *
 * jose verifies every token that is not known. They are put together here and signed by Node itself, in one call on this thread:
 * through jose, each signature is a job for another thread, which under load cost some 76 µs of processor time against 34 (docs/performance.md).
 */
import { type KeyObject, sign } from 'node:crypto';
import { errors, jwtVerify } from 'jose';
import { z } from 'zod';
import { CLAIM_TOKEN_TYPE, TOKEN_AUDIENCE } from '../../../contract/constants.ts';
import { boundedCache } from '../../kernel/bounded-cache.ts';
import type { Clock } from '../../kernel/clock.ts';
import type { ClaimPrincipal } from '../../kernel/principal.ts';
import { ProblemError } from '../../kernel/problem-error.ts';
import type { SigningKeys } from './signing-keys.ts';

/** The hard limit of a claim: after it the token is dead and the worker must have ended or been given a fresh one. */
const CLAIM_SECONDS_MAX = 86_400;
/** Past the deadline the holder still hears why it lost the claim, instead of a bare 401. */
const GRACE_SECONDS = 60;
/** Clocks of servers are aligned to the database; this covers the measurement's error. */
const CLOCK_TOLERANCE_SECONDS = 30;
/** About 1.5 KiB each with the token text: 75 MiB at the very most, and far above the claims a server sees alive. */
const CACHED_TOKENS_MAX = 50_000;
/** Renewed by a heartbeat when less than this share of its life is left. */
const RENEWAL_SHARE = 0.2;

/** The same for every server and address: a changed public URL must not cost anyone a claim. Whose token it is, the keys say. */
const ISSUER = 'lanekeeper';

const CLAIM_SCOPE = [
  'task:read',
  'task:create',
  'task:comment',
  'delegation:create',
  'run:heartbeat',
  'run:end',
] as const;

const Payload = z.object({
  jti: z.string(),
  iat: z.number(),
  exp: z.number(),
  board: z.string(),
  lane: z.string(),
  task: z.string(),
  attempt: z.int(),
  worker: z.string(),
  scope: z.string(),
});

interface NewToken {
  readonly runId: string;
  readonly taskId: string;
  readonly board: string;
  readonly lane: string;
  readonly worker: string;
  readonly attempt: number;
  readonly maxRuntimeSeconds: number | null;
}

interface VerifiedToken {
  readonly kid: string;
  readonly principal: ClaimPrincipal;
}

export class ClaimTokens {
  readonly #keys: SigningKeys;
  readonly #clock: Clock;
  readonly #verified = boundedCache<string, VerifiedToken>(CACHED_TOKENS_MAX);

  constructor(keys: SigningKeys, clock: Clock) {
    this.#keys = keys;
    this.#clock = clock;
  }

  sign(claim: NewToken): string {
    const { kid, privateKey } = this.#keys.signer();
    const issuedAtSeconds = Math.floor(this.#clock.now() / 1000);
    const expiresAtSeconds =
      issuedAtSeconds +
      Math.min(claim.maxRuntimeSeconds ?? CLAIM_SECONDS_MAX, CLAIM_SECONDS_MAX) +
      GRACE_SECONDS;
    const token = signJwt(
      { alg: 'EdDSA', typ: CLAIM_TOKEN_TYPE, kid },
      {
        iss: ISSUER,
        aud: TOKEN_AUDIENCE,
        sub: `lane:${claim.board}/${claim.lane}`,
        jti: claim.runId,
        iat: issuedAtSeconds,
        // Others verify it by their own clocks, which may be a little behind the database's.
        nbf: issuedAtSeconds - CLOCK_TOLERANCE_SECONDS,
        exp: expiresAtSeconds,
        board: claim.board,
        lane: claim.lane,
        task: claim.taskId,
        attempt: claim.attempt,
        worker: claim.worker,
        scope: CLAIM_SCOPE.join(' '),
      },
      privateKey,
    );
    const { runId, taskId, board, lane, worker, attempt } = claim;
    const principal: ClaimPrincipal = {
      kind: 'claim',
      runId,
      taskId,
      board,
      lane,
      worker,
      attempt,
      scope: CLAIM_SCOPE,
      issuedAtSeconds,
      expiresAtSeconds,
    };
    this.#verified.set(token, { kid, principal });
    return token;
  }

  async verify(token: string): Promise<ClaimPrincipal> {
    const known = this.#verified.get(token);
    // A key that was withdrawn takes its tokens with it, also those that were good a moment ago.
    if (known === undefined || !this.#keys.has(known.kid)) return this.#verifySignature(token);
    const { principal } = known;
    if (principal.expiresAtSeconds + CLOCK_TOLERANCE_SECONDS < this.#clock.now() / 1000)
      throw tokenExpired(principal);
    if (this.#keys.isTakenBack(known.kid, principal.issuedAtSeconds)) throw tokenTakenBack(principal);
    return principal;
  }

  /** True when a heartbeat should hand out a fresh token. */
  isDueForRenewal(principal: ClaimPrincipal): boolean {
    const lifeSeconds = principal.expiresAtSeconds - principal.issuedAtSeconds;
    return principal.expiresAtSeconds - this.#clock.now() / 1000 < lifeSeconds * RENEWAL_SHARE;
  }

  async #verifySignature(token: string): Promise<ClaimPrincipal> {
    try {
      const { payload, protectedHeader } = await jwtVerify(
        token,
        async (header) => {
          const key = await this.#keys.verifier(header.kid);
          if (key === null) throw new errors.JWKSNoMatchingKey();
          return key;
        },
        {
          // RFC 9864 renames EdDSA to Ed25519; both name the one algorithm our keys can be used with.
          algorithms: ['EdDSA', 'Ed25519'],
          typ: CLAIM_TOKEN_TYPE,
          audience: TOKEN_AUDIENCE,
          issuer: ISSUER,
          clockTolerance: CLOCK_TOLERANCE_SECONDS,
          currentDate: new Date(this.#clock.now()),
          requiredClaims: ['jti', 'iat', 'nbf', 'exp'],
          // Whatever a token says of its end, it is over when the longest claim would be. An iat that lies ahead is refused as well.
          maxTokenAge: CLAIM_SECONDS_MAX + GRACE_SECONDS,
        },
      );
      const principal = principalOf(payload);
      const { kid } = protectedHeader;
      if (this.#keys.isTakenBack(kid, principal.issuedAtSeconds)) throw tokenTakenBack(principal);
      if (kid !== undefined) this.#verified.set(token, { kid, principal });
      return principal;
    } catch (error) {
      if (error instanceof errors.JWTExpired) throw tokenExpired(principalOf(error.payload));
      if (error instanceof errors.JOSEError || error instanceof z.ZodError) throw badToken(error);
      throw error;
    }
  }
}

/** A JWS in compact form (RFC 7515, section 3.1), signed with Ed25519 (RFC 8037, section 3.1). */
function signJwt(header: object, payload: object, key: KeyObject): string {
  const signed = `${base64url(header)}.${base64url(payload)}`;
  return `${signed}.${sign(null, Buffer.from(signed), key).toString('base64url')}`;
}

function base64url(value: object): string {
  return Buffer.from(JSON.stringify(value)).toString('base64url');
}

function principalOf(payload: unknown): ClaimPrincipal {
  const { jti, iat, exp, board, lane, task, attempt, worker, scope } = Payload.parse(payload);
  return {
    kind: 'claim',
    runId: jti,
    taskId: task,
    board,
    lane,
    worker,
    attempt,
    scope: scope.split(' '),
    issuedAtSeconds: iat,
    expiresAtSeconds: exp,
  };
}

function tokenExpired(principal: ClaimPrincipal): ProblemError {
  return tokenOver(principal, 'The claim token has expired; the claim it spoke for is over.');
}

function tokenTakenBack(principal: ClaimPrincipal): ProblemError {
  return tokenOver(
    principal,
    'The database was restored to a moment before this claim token was issued; what it spoke for never was.',
  );
}

function tokenOver(principal: ClaimPrincipal, detail: string): ProblemError {
  return new ProblemError('token_expired', detail, {
    extensions: { task_id: principal.taskId, run_id: principal.runId },
    headers: { 'WWW-Authenticate': 'Bearer error="invalid_token", error_description="expired"' },
  });
}

function badToken(cause: unknown): ProblemError {
  return new ProblemError(
    'unauthenticated',
    'The token was not issued by this server, or has been changed.',
    {
      cause,
      headers: { 'WWW-Authenticate': 'Bearer error="invalid_token"' },
    },
  );
}
