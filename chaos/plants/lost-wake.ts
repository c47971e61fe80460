/** Whoever waits for work is no longer told that there is some, and finds it when it happens to look by itself. */
import type { Plant } from './plant.ts';

export const lostWake: Plant = {
  name: 'lost-wake',
  properties: [4],
  patches: [{ find: 'for (const [lane, count] of ready) this.wakeFirst(lane, count);', replace: '' }],
  sql: null,
};
