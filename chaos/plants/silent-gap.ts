/** A watch over a socket goes on from any cursor, however much of what follows it was pruned meanwhile. */
import type { Plant } from './plant.ts';

export const silentGap: Plant = {
  name: 'silent-gap',
  properties: [12],
  patches: [
    { find: 'if (position.seq < ends.pruned_seq) throw cursorExpired();', replace: '' },
    {
      find: 'if (await this.#startOf(board, part, afterSeq, this.#parts.sql) > afterSeq) throw cursorExpired();',
      replace: '',
    },
  ],
  sql: null,
};
