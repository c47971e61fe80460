/** Every way in which a secret may be written down without looking like itself. */

/** Base64 of a text inside of a longer one depends on where it begins; what its neighbours have no part in is the same. */
function base64Within(secret: string, encoding: 'base64' | 'base64url'): string[] {
  return [0, 1, 2].map((offset) => {
    const bytes = Buffer.concat([Buffer.alloc(offset), Buffer.from(secret)]);
    const whole = bytes.subarray(0, bytes.length - (bytes.length % 3));
    // The first group holds bytes of the neighbour.
    return whole.toString(encoding).slice(offset === 0 ? 0 : 4);
  });
}

function spellingsOf(secret: string): string[] {
  const percent = [...Buffer.from(secret)].map((byte) => `%${byte.toString(16).padStart(2, '0')}`).join('');
  return [
    ...new Set([
      secret,
      encodeURIComponent(secret),
      percent,
      percent.toUpperCase(),
      Buffer.from(secret).toString('hex'),
      JSON.stringify(secret).slice(1, -1),
      [...secret].reverse().join(''),
      ...base64Within(secret, 'base64'),
      ...base64Within(secret, 'base64url'),
    ]),
  ];
}

/** The secrets of which a text holds any spelling, by name. */
export function secretsIn(text: string, secrets: Readonly<Record<string, string>>): string[] {
  return Object.entries(secrets)
    .filter(([, secret]) => spellingsOf(secret).some((spelling) => text.includes(spelling)))
    .map(([name]) => name);
}
