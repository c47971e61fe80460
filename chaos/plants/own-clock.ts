/** A server that judges leases by its own clock. Whose clock is right, is never wrong: it shows once that clock jumps. */
import type { Plant } from './plant.ts';

export const ownClock: Plant = {
  name: 'own-clock',
  properties: [11],
  patches: [
    {
      find: "WHEN c.lease_expires_at < moment.at THEN 'lease'",
      // biome-ignore lint/suspicious/noTemplateCurlyInString: it is put into one
      replace: "WHEN c.lease_expires_at < to_timestamp(${Date.now() / 1000}::float8) THEN 'lease'",
    },
  ],
  sql: null,
};
