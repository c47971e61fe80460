/** What was taken from those who held it: runs that are over, lanes that were taken over. */
import type { Runner } from '../../../db/client.ts';
import type { Uuid } from '../../../kernel/ids.ts';

/** Of these runs, those that hold their task no more: over, left to expire by a takeover, or deleted with the task. */
export async function findRunsOver(sql: Runner, boardId: number, ids: readonly Uuid[]): Promise<Uuid[]> {
  const rows = await sql<{ id: Uuid }[]>`
    /* runs.find_over */
    SELECT wanted.id FROM unnest(${ids as Uuid[]}::uuid[]) AS wanted (id)
    LEFT JOIN LATERAL (
      SELECT id, outcome, evidence FROM runs WHERE board_id = ${boardId} AND id = wanted.id OFFSET 0
    ) AS r ON true
    WHERE r.id IS NULL OR r.outcome IS NOT NULL OR r.evidence -> 'takeover' IS NOT NULL`;
  return rows.map((row) => row.id);
}

interface EpochRow {
  readonly lane: string;
  readonly epoch: number;
  /** The board's last event, of the same snapshot. */
  readonly seq: number;
}

/** Of these lanes, as far as they are there. */
export async function readEpochs(
  sql: Runner,
  boardId: number,
  lanes: readonly string[],
): Promise<EpochRow[]> {
  return sql<EpochRow[]>`
    /* lanes.read_epochs */
    SELECT l.name AS lane, l.epoch, s.seq FROM board_seq s
    JOIN lanes l ON l.board_id = s.board_id AND l.name = ANY (${lanes as string[]}::text[])
    WHERE s.board_id = ${boardId}`;
}

interface Stretch {
  readonly afterSeq: number;
  readonly upToSeq: number;
}

/** Who took these lanes over in this stretch of the log, which is read in full: for those who know that somebody did. */
export async function listTakers(
  sql: Runner,
  boardId: number,
  lanes: readonly string[],
  { afterSeq, upToSeq }: Stretch,
): Promise<{ readonly lane: string; readonly worker: string; readonly seq: number }[]> {
  return sql<{ lane: string; worker: string; seq: number }[]>`
    /* lanes.list_takers */
    SELECT lane, worker, seq FROM events
    WHERE board_id = ${boardId} AND seq > ${afterSeq} AND seq <= ${upToSeq} AND kind = 'lane.taken_over'
      AND lane = ANY (${lanes as string[]}::text[])
    ORDER BY seq`;
}
