/** Children that end at once do not see each other: each leaves it to the other to decide, or both do. */
import type { Plant } from './plant.ts';

export const unlockedJoin: Plant = {
  name: 'unlocked-join',
  properties: [8],
  patches: [
    {
      find: "id = wanted.id AND status = 'running' FOR UPDATE",
      replace: "id = wanted.id AND status = 'running'",
    },
  ],
  sql: null,
};
