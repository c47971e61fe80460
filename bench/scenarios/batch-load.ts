/** Our batch cycle, which P2 and P6 both measure. */
import type { Load } from '../throughput.ts';

/** Given by the bar. */
export const BATCH_SIZE = 50;
/** Tried: 2, 4, 8: no difference, the server's one process is the limit. */
const CONNECTIONS = 4;
/** Twice what it does in the 2.5 s of the warm-up. */
export const BATCH_WARM_UP_PIECES = 50_000;

export const BATCH_LOAD: Load = {
  party: 'lanekeeper',
  concurrency: CONNECTIONS,
  manner: { kind: 'batch', size: BATCH_SIZE },
  warmUpPieces: BATCH_WARM_UP_PIECES,
};
