/**
 * The keys that claim tokens are signed with: made here, kept in the database, shared by all servers, published as a JWKS.
 * A new key is published first and signs only after verifiers have had time to fetch it; an old one verifies until its last
 * token has expired.
 */
import { createPrivateKey, type JsonWebKey, type KeyObject } from 'node:crypto';
import {
  type CryptoKey,
  calculateJwkThumbprint,
  exportJWK,
  generateKeyPair,
  importJWK,
  type JWK,
} from 'jose';
import type { Sql } from '../../db/client.ts';
import { assert, present } from '../../kernel/assert.ts';
import type { Clock } from '../../kernel/clock.ts';
import type { SecretBox } from './secret-box.ts';
import { deleteRetiredSigningKeys, insertSigningKey, listSigningKeys, type SigningKeyRow } from './store.ts';

/** How long verifiers may cache the JWKS; a new key waits that long before it signs. */
export const JWKS_MAX_AGE_SECONDS = 300;
/** One month: far above a token's life, short enough that rotation is exercised. */
const ROTATION_SECONDS = 30 * 86_400;
/** The longest life of a token (24 h and a minute) and a margin for clocks. */
const TOKEN_LIFE_SECONDS = 86_400 + 60 + 300;
/** An unknown kid makes us look again, but a forger must not make us look all the time. */
const RELOAD_INTERVAL_MS = 1000;

interface SigningKey {
  readonly kid: string;
  readonly publicJwk: JWK;
  readonly publicKey: CryptoKey;
  readonly privateKey: KeyObject;
  readonly signsFromMs: number;
  /** The database went back to that moment, and the tokens that it signed later were taken back with the rest; null: it did not. */
  readonly tokensUntilMs: number | null;
}

/**
 * A server's clock follows the database's to some milliseconds, and a token's time is in whole seconds: what was signed so shortly before
 * the moment that was gone back to may as well have been signed after it.
 */
const TAKEN_BACK_MARGIN_MS = 2000;

/** `-infinity` of the database would be read as some year or other, and tokens judged by it. */
function finiteMoment(text: string): number {
  assert(/^\d{4}-/.test(text), 'the moment that a key signed until is finite');
  return Date.parse(text);
}

export class SigningKeys {
  readonly #sql: Sql;
  readonly #box: SecretBox;
  readonly #clock: Clock;
  /** Newest first: every claim asks for the signer. */
  #keys = new Map<string, SigningKey>();
  #loadedAt = 0;

  constructor(sql: Sql, box: SecretBox, clock: Clock) {
    this.#sql = sql;
    this.#box = box;
    this.#clock = clock;
  }

  /** Makes the first key, or the next one when the newest is a month old; forgets retired ones. */
  async maintain(): Promise<void> {
    await this.load();
    // After a restore there are keys, and none may sign.
    if (this.#signers().length === 0) await this.#insert(0, ROTATION_SECONDS);
    else await this.#rotateWhenDue();
    await deleteRetiredSigningKeys(this.#sql, TOKEN_LIFE_SECONDS);
    await this.load();
  }

  async #rotateWhenDue(): Promise<void> {
    const newestMs = Math.max(...this.#signers().map((key) => key.signsFromMs));
    if (this.#clock.now() - newestMs > ROTATION_SECONDS * 1000)
      await this.#insert(JWKS_MAX_AGE_SECONDS, ROTATION_SECONDS);
  }

  /** Publishes a new key now; it signs when the JWKS has had time to spread. Until then it is the one that is asked for again. */
  async rotate(): Promise<{ kid: string; signsFromMs: number }> {
    await this.#insert(JWKS_MAX_AGE_SECONDS, null);
    await this.load();
    const [newest] = this.#signers();
    const { kid, signsFromMs } = present(newest, 'a key was inserted, or is about to sign');
    return { kid, signsFromMs };
  }

  async #insert(delaySeconds: number, unlessYoungerThanSeconds: number | null): Promise<void> {
    const pair = await generateKeyPair('EdDSA', { crv: 'Ed25519', extractable: true });
    const publicJwk = await exportJWK(pair.publicKey);
    const kid = await calculateJwkThumbprint(publicJwk);
    await insertSigningKey(this.#sql, {
      kid,
      publicJwk: { ...publicJwk, kid, alg: 'EdDSA', use: 'sig' },
      privateJwk: this.#box.seal(JSON.stringify(await exportJWK(pair.privateKey))),
      delaySeconds,
      unlessYoungerThanSeconds,
    });
  }

  async load(): Promise<void> {
    this.#loadedAt = performance.now();
    const rows = await listSigningKeys(this.#sql);
    const keys = await Promise.all(
      rows.map(async (row) => ({
        ...(this.#keys.get(row.kid) ?? (await this.#import(row))),
        tokensUntilMs: row.tokens_until === null ? null : finiteMoment(row.tokens_until),
      })),
    );
    const newestFirst = keys.sort((left, right) => right.signsFromMs - left.signsFromMs);
    this.#keys = new Map(newestFirst.map((key) => [key.kid, key]));
  }

  async #import(row: SigningKeyRow): Promise<Omit<SigningKey, 'tokensUntilMs'>> {
    const publicJwk = row.public_jwk as JWK;
    const publicKey = await importJWK(publicJwk, 'EdDSA');
    assert(!(publicKey instanceof Uint8Array), 'Ed25519 keys are asymmetric');
    const privateJwk = JSON.parse(this.#box.open(row.private_jwk)) as JsonWebKey;
    const privateKey = createPrivateKey({ key: privateJwk, format: 'jwk' });
    assert(privateKey.asymmetricKeyType === 'ed25519', 'what signs is an Ed25519 key');
    return { kid: row.kid, publicJwk, publicKey, privateKey, signsFromMs: Date.parse(row.signs_from) };
  }

  /** The newest key whose time to sign has come. */
  signer(): { kid: string; privateKey: KeyObject } {
    const now = this.#clock.now();
    let oldest: SigningKey | undefined;
    for (const key of this.#keys.values()) {
      if (key.tokensUntilMs !== null) continue;
      if (key.signsFromMs <= now) return key;
      oldest = key;
    }
    // A first key whose moment lies a clock's error ahead is still the only one there is.
    return present(oldest, 'maintain() made a key before anything is signed');
  }

  /** Keys that sign, or will. */
  #signers(): SigningKey[] {
    return [...this.#keys.values()].filter((key) => key.tokensUntilMs === null);
  }

  /** Whether a token was signed after a moment that the database has gone back to since. */
  isTakenBack(kid: string | undefined, issuedAtSeconds: number): boolean {
    const untilMs = (kid === undefined ? undefined : this.#keys.get(kid))?.tokensUntilMs ?? null;
    return untilMs !== null && (issuedAtSeconds + 1) * 1000 + TAKEN_BACK_MARGIN_MS > untilMs;
  }

  /** False: it was withdrawn, or nobody here has heard of it yet. */
  has(kid: string): boolean {
    return this.#keys.has(kid);
  }

  async verifier(kid: string | undefined): Promise<CryptoKey | null> {
    if (kid === undefined) return null;
    if (!this.#keys.has(kid) && performance.now() - this.#loadedAt > RELOAD_INTERVAL_MS) await this.load();
    return this.#keys.get(kid)?.publicKey ?? null;
  }

  jwks(): { keys: JWK[] } {
    return { keys: [...this.#keys.values()].map((key) => key.publicJwk) };
  }
}
