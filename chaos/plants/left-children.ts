/** What a decided delegation leaves is done with once all of its holders have been asked to stop, whatever they do then. */
import type { Plant } from './plant.ts';

export const leftChildren: Plant = {
  name: 'left-children',
  properties: [8],
  patches: [
    {
      find: 'id = member.task_id AND status <> ALL (',
      replace: 'id = member.task_id AND false AND status <> ALL (',
    },
  ],
  sql: null,
};
