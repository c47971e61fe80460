/** Encrypts signing keys at rest under LANEKEEPER_SECRET: AES-256-GCM with a key derived by HKDF. */
import { createCipheriv, createDecipheriv, hkdfSync, randomBytes } from 'node:crypto';
import { assert } from '../../kernel/assert.ts';

const PREFIX = 'enc:v1:';
/** Sizes of AES-256-GCM, NIST SP 800-38D. */
const KEY_BYTES = 32;
const NONCE_BYTES = 12;
const TAG_BYTES = 16;

class SecretBoxError extends Error {
  override readonly name = 'SecretBoxError';
}

export class SecretBox {
  readonly #key: Uint8Array | null;

  constructor(secret: string | null) {
    this.#key =
      secret === null
        ? null
        : new Uint8Array(hkdfSync('sha256', secret, '', 'lanekeeper signing keys', KEY_BYTES));
  }

  /** Without a secret the text is kept as it is. */
  seal(text: string): string {
    if (this.#key === null) return text;
    const nonce = randomBytes(NONCE_BYTES);
    const cipher = createCipheriv('aes-256-gcm', this.#key, nonce);
    const sealed = Buffer.concat([nonce, cipher.update(text, 'utf8'), cipher.final(), cipher.getAuthTag()]);
    return PREFIX + sealed.toString('base64url');
  }

  open(stored: string): string {
    if (!stored.startsWith(PREFIX)) return stored;
    if (this.#key === null) {
      throw new SecretBoxError(
        'The signing keys in this database are encrypted. Start with the LANEKEEPER_SECRET they were made with.',
      );
    }
    const bytes = Buffer.from(stored.slice(PREFIX.length), 'base64url');
    assert(bytes.length > NONCE_BYTES + TAG_BYTES, 'a sealed key holds a nonce and a tag');
    const decipher = createDecipheriv('aes-256-gcm', this.#key, bytes.subarray(0, NONCE_BYTES));
    decipher.setAuthTag(bytes.subarray(-TAG_BYTES));
    try {
      return (
        decipher.update(bytes.subarray(NONCE_BYTES, -TAG_BYTES), undefined, 'utf8') + decipher.final('utf8')
      );
    } catch (error) {
      throw new SecretBoxError(
        'LANEKEEPER_SECRET is not the one the signing keys in this database were encrypted with.',
        { cause: error },
      );
    }
  }
}
