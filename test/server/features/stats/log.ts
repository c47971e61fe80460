/** Logs of any size, written without a server: tasks that were made, claimed and completed at times that the test chooses. */
import { randomUUID } from 'node:crypto';
import type postgres from 'postgres';

export interface LogShape {
  readonly tasks: number;
  /** They take turns. */
  readonly lanes: number;
  /** When the first of them was made, before this minute began: so every run cuts the log at the same places. */
  readonly startedSecondsAgo: number;
  readonly spacingSeconds: number;
  /** Of the task with this number, from 0. */
  readonly waitSeconds: (task: number) => number;
  readonly runSeconds: (task: number) => number;
}

/** A board with this log; its number. Of each task three events, in the order of their times. */
export async function writeLog(sql: postgres.Sql, name: string, shape: LogShape): Promise<number> {
  const tasks = Array.from({ length: shape.tasks }, (_, number) => {
    const made = number * shape.spacingSeconds - shape.startedSecondsAgo;
    const claimed = made + shape.waitSeconds(number);
    return {
      id: randomUUID(),
      lane: `lane-${number % shape.lanes}`,
      made,
      claimed,
      ended: claimed + shape.runSeconds(number),
    };
  });
  const column = <T>(read: (task: (typeof tasks)[number]) => T): T[] => tasks.map(read);
  return sql.begin(async (tx) => {
    const [board] = await tx<{ id: number }[]>`
      INSERT INTO boards (name, log_incarnation) VALUES (${name}, 'abcdefgh') RETURNING id`;
    const id = board?.id ?? 0;
    await tx`
      CREATE TEMPORARY TABLE made ON COMMIT DROP AS
      SELECT * FROM unnest(${column((task) => task.id)}::uuid[], ${column((task) => task.lane)}::text[],
        ${column((task) => task.made)}::float8[], ${column((task) => task.claimed)}::float8[], ${column((task) => task.ended)}::float8[]
      ) AS task (id, lane, made, claimed, ended)`;
    await tx`
      INSERT INTO runs (board_id, task_id, attempt, id, lane, worker, outcome, started_at, ended_at)
      SELECT ${id}, id, 1, gen_random_uuid(), lane, 'w', 'completed', date_trunc('minute', now()) + make_interval(secs => claimed), date_trunc('minute', now()) + make_interval(secs => ended)
      FROM made`;
    await tx`
      INSERT INTO events (board_id, seq, kind, at, task_id, lane, attempt, actor_type, actor_id, data)
      SELECT ${id}, row_number() OVER (ORDER BY seconds, number), kind, date_trunc('minute', now()) + make_interval(secs => seconds), id, lane, 1, 'system', 'test', data
      FROM (
        SELECT 1 AS number, 'task.created' AS kind, id, lane, made AS seconds, '{"status_before": null, "status_after": "ready"}'::jsonb AS data FROM made
        UNION ALL
        SELECT 2, 'task.claimed', id, lane, claimed, '{"status_before": "ready", "status_after": "running"}' FROM made
        UNION ALL
        SELECT 3, 'task.completed', id, lane, ended, '{"status_before": "running", "status_after": "done", "outcome": "completed"}' FROM made
      ) AS event`;
    await tx`INSERT INTO board_seq (board_id, seq, done) VALUES (${id}, ${shape.tasks * 3}, ${shape.tasks})`;
    return id;
  });
}
