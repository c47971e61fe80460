/**
 * Signing in to the dashboard: one-time codes, and the keys that are given for them. A code is in the answer that makes it and in no
 * table, log or remembered answer; taking it is the deletion of its row, so that of two servers that are sent the same code one gets it.
 * The key is as much as the maker of the code allowed, and never more than the maker still has when the code is used: a board that was
 * deleted since is in neither, also when there is another of its name by then.
 */
import { createHash, randomBytes } from 'node:crypto';
import type { z } from 'zod';
import type { createSignInCode, SignInRole } from '../../../contract/sign-in.ts';
import type { Runner, Sql, Tx } from '../../db/client.ts';
import { transaction, withinDeadline } from '../../db/tx.ts';
import { present } from '../../kernel/assert.ts';
import { type IdSource, parseId, type Uuid } from '../../kernel/ids.ts';
import type { Principal } from '../../kernel/principal.ts';
import { ProblemError } from '../../kernel/problem-error.ts';
import type { Authenticator } from './authenticator.ts';
import { keyCaller } from './granting.ts';
import { holdGrant } from './holding.ts';
import { type IssuedKey, issueKey } from './issuing.ts';
import { holdLiveKey, insertSignInCode, revokeSessionKey, takeSignInCode } from './store.ts';

/** 160 bits, in hex: a link that ends in a hyphen is cut short by some terminals. */
const CODE_BYTES = 20;
const CODE_PATTERN = /^[0-9a-f]{40}$/;
/** Pinned by the quality bars: long enough to walk over to the browser. */
const CODE_LIFE_SECONDS = 600;
/** Whoever signs people in by the hundred makes keys instead; and one who does leaves room for all others. */
const CODES_PER_MAKER_MAX = 100;
/** Ten makers at their bound, in a table that is read through whenever a code is made. */
const CODES_MAX = 1000;
const CODE_BOUNDS = { perMaker: CODES_PER_MAKER_MAX, total: CODES_MAX };
/** A working day with its breaks: who comes back the next morning signs in anew. */
const SESSION_SECONDS = 12 * 3600;
/** As the contract has it for names of keys. */
const NAME_CHARACTERS_MAX = 128;
/** What is refused here frees up only as codes are used or expire. */
const RETRY_AFTER_SECONDS = 60;

type CodeRequest = z.infer<(typeof createSignInCode)['body']>;

interface SignInParts {
  readonly sql: Sql;
  readonly ids: IdSource;
  readonly authenticator: Authenticator;
  /** Where people reach the dashboard; null: where the server listens, which it knows once it does. */
  readonly publicUrl: string | null;
}

interface SignInLink {
  readonly code: string;
  readonly url: string;
  readonly expires_at: string;
}

interface CodeGrant {
  readonly role: SignInRole;
  readonly name: string;
  readonly boards: readonly string[] | null;
  readonly createdBy: Uuid | null;
}

export class SignIn {
  readonly #parts: SignInParts;
  #url: string | null;

  constructor(parts: SignInParts) {
    this.#parts = parts;
    this.#url = parts.publicUrl;
  }

  /** Told once, when the port is open; what the operator says goes before it. */
  servedAt(url: string): void {
    this.#url ??= url;
  }

  async createCode(caller: Principal | null, request: CodeRequest): Promise<SignInLink> {
    const maker = keyCaller(caller);
    const name = request.name ?? `dashboard sign-in by ${maker.name}`.slice(0, NAME_CHARACTERS_MAX);
    const link = await this.#createCode(async (tx) => ({
      role: request.role ?? 'admin',
      name,
      boards: (await holdGrant(tx, maker, request)).boards,
      createdBy: parseId('key', maker.keyId),
    }));
    if (link !== null) return link;
    throw new ProblemError(
      'rate_limited',
      `Of the sign-in codes of one key ${CODES_PER_MAKER_MAX} may wait to be used, and ${CODES_MAX} of all; each expires after ${CODE_LIFE_SECONDS / 60} minutes.`,
      { headers: { 'Retry-After': String(RETRY_AFTER_SECONDS) } },
    );
  }

  /** The link that the server prints when it starts: for whoever reads that may do everything anyway. No codes of others are too many. */
  async createFirstLink(): Promise<string> {
    const link = await this.#createCode(async () => ({
      role: 'admin',
      name: 'dashboard sign-in by the link of the start',
      boards: null,
      createdBy: null,
    }));
    return present(link, 'nothing bounds the codes of the server itself').url;
  }

  async #createCode(grant: (tx: Tx) => Promise<CodeGrant>): Promise<SignInLink | null> {
    const code = randomBytes(CODE_BYTES).toString('hex');
    const made = { hash: hashCode(code), lifeSeconds: CODE_LIFE_SECONDS };
    const expiresAt = await transaction(this.#parts.sql, async (tx) =>
      insertSignInCode(tx, { ...(await grant(tx)), ...made }, CODE_BOUNDS),
    );
    if (expiresAt === null) return null;
    const url = present(this.#url, 'codes are made for those who have reached the server');
    return { code, url: `${url}/#code=${code}`, expires_at: expiresAt };
  }

  /** One refusal for whatever is wrong with a code, and it counts as a bad key does: codes are guessed at no faster than keys. */
  signIn(code: string, remoteAddress: string): Promise<IssuedKey> {
    const { authenticator, sql } = this.#parts;
    return authenticator.admitSecret(
      remoteAddress,
      'This sign-in code is wrong, was used or has expired. Ask for another: lanekeeper dashboard.',
      async () =>
        CODE_PATTERN.test(code) ? transaction(sql, (tx) => this.#exchange(tx, hashCode(code))) : null,
    );
  }

  /** The code is gone whatever becomes of it. */
  async #exchange(tx: Runner, hash: string): Promise<IssuedKey | null> {
    const code = await takeSignInCode(tx, hash, SESSION_SECONDS);
    if (code === null || !code.is_live) return null;
    // Held until this commits: a revocation comes before it, and is heard of here, or after it.
    const maker = code.created_by === null ? null : await holdLiveKey(tx, code.created_by);
    if (code.created_by !== null && maker === null) return null;
    const boards = maker === null ? code.boards : boardsOfBoth(code.boards, maker.boards);
    if (boards?.length === 0) return null;
    return issueKey(tx, this.#parts.ids, {
      role: code.role,
      name: code.name,
      boards,
      lane: null,
      owner: maker?.owner ?? null,
      expiresAt: earlierOf(code.session_ends_at, maker?.expires_at ?? null),
      hasMcpAliases: false,
      isSession: true,
    });
  }

  async signOut(caller: Principal | null): Promise<void> {
    const id = parseId('key', keyCaller(caller).keyId);
    if (id !== null && (await withinDeadline(revokeSessionKey(this.#parts.sql, id)))) return;
    throw new ProblemError(
      'forbidden',
      'This key was not made by a sign-in: it stays until it is revoked (DELETE /v1/keys/{key}).',
    );
  }
}

function hashCode(code: string): string {
  return createHash('sha256').update(code).digest('hex');
}

/** null: every board. */
function boardsOfBoth(
  boards: readonly string[] | null,
  others: readonly string[] | null,
): readonly string[] | null {
  if (boards === null || others === null) return boards ?? others;
  return boards.filter((board) => others.includes(board));
}

function earlierOf(time: string, other: string | null): string {
  return other !== null && Date.parse(other) < Date.parse(time) ? other : time;
}
