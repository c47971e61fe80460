/** Deliveries are given out however many of their session are out already. */
import type { Plant } from './plant.ts';

export const crowdedSession: Plant = {
  name: 'crowded-session',
  properties: [8],
  patches: [
    {
      find: "out.session_key = d.session_key AND out.status = 'leased'",
      replace: "out.session_key = d.session_key AND out.status = 'nowhere'",
    },
    // Of one answer too.
    { find: 'SELECT DISTINCT ON (session_key) id, due_at', replace: 'SELECT id, due_at' },
  ],
  sql: null,
};
