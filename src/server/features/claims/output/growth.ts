/** What has come of the output of one task: numbered lines, and behind which number they begin. */
import type { Uuid } from '../../../kernel/ids.ts';

export interface NumberedLine {
  readonly number: number;
  readonly runId: Uuid;
  readonly text: string;
}

/** New lines of one task: of those behind `afterNumber` and up to `upToNumber` the last, as many as are kept. */
export interface Growth {
  readonly taskId: Uuid;
  readonly lane: string | null;
  /** By the database's clock. */
  readonly at: string;
  readonly lines: readonly NumberedLine[];
  readonly afterNumber: number;
  readonly upToNumber: number;
}
