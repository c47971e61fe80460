/**
 * What claims are decided on, board by board: paused, lanes, caps. Kept in memory, because a claim's statement proves it: it
 * carries the version it was decided on, and the counter row refuses another. Whoever answers "no" from here reads it afresh.
 */
import type { Sql } from '../../db/client.ts';
import { withinDeadline } from '../../db/tx.ts';
import { boundedCache } from '../../kernel/bounded-cache.ts';
import { settingsOf } from '../boards/service.ts';
import { type ConfigRow, readConfig } from './store/lane.ts';

export type LaneConfig = Pick<
  ConfigRow,
  | 'name'
  | 'kind'
  | 'claim_mode'
  | 'allowed_status_mutations'
  | 'max_concurrent_claims'
  | 'lease_seconds'
  | 'no_progress_seconds'
  | 'max_runtime_seconds'
  | 'is_paused'
  | 'is_draining'
  | 'is_reviewer'
>;

export interface BoardConfig {
  readonly version: number;
  readonly isPaused: boolean;
  /** Tasks that waited for review when this was read. */
  readonly reviewCount: number;
  readonly lanes: ReadonlyMap<string, LaneConfig>;
}

const CACHED_BOARDS_MAX = 1000;

export class ConfigCache {
  readonly #sql: Sql;
  readonly #configs = boundedCache<number, BoardConfig>(CACHED_BOARDS_MAX);

  constructor(sql: Sql) {
    this.#sql = sql;
  }

  /** As known; null when the board is gone. */
  async get(boardId: number): Promise<BoardConfig | null> {
    return this.#configs.get(boardId) ?? (await this.refresh(boardId));
  }

  async refresh(boardId: number): Promise<BoardConfig | null> {
    const rows = await withinDeadline(readConfig(this.#sql, boardId));
    const [first] = rows;
    if (first === undefined) {
      this.#configs.delete(boardId);
      return null;
    }
    const lanes = new Map<string, LaneConfig>();
    for (const row of rows) if (row.name !== null) lanes.set(row.name, { ...row, name: row.name });
    const config = {
      version: first.config_version,
      isPaused: settingsOf(first).paused,
      reviewCount: first.review_count,
      lanes,
    };
    this.#configs.set(boardId, config);
    return config;
  }

  forget(boardId: number): void {
    this.#configs.delete(boardId);
  }
}
