/** Webhooks that have something coming. */
import type { Runner } from '../../db/client.ts';
import type { Uuid } from '../../kernel/ids.ts';

/** Of more than there is room for any, not the same each time. */
export async function listBoardsWithDueWebhooks(sql: Runner, boardsMax: number): Promise<number[]> {
  const rows = await sql<{ board_id: number }[]>`
    /* webhooks.list_boards */
    SELECT board_id FROM deliveries
    WHERE is_webhook AND status IN ('pending', 'leased') AND ((status = 'pending' AND due_at <= clock_timestamp()) OR (status = 'leased' AND lease_expires_at <= clock_timestamp()))
    GROUP BY board_id ORDER BY random() LIMIT ${boardsMax}`;
  return rows.map((row) => row.board_id);
}

export interface WebhookRow {
  readonly id: Uuid;
  readonly webhook_url: string;
  readonly webhook_secret: string | null;
  /** Null too when its time is over. */
  readonly webhook_old_secret: string | null;
  readonly traceparent: string | null;
}

/** Of these subscriptions. */
export async function findWebhooks(
  sql: Runner,
  boardId: number,
  ids: readonly Uuid[],
): Promise<Map<Uuid, WebhookRow>> {
  const rows = await sql<WebhookRow[]>`
    /* webhooks.find */
    SELECT s.id, s.webhook_url, s.webhook_secret,
      CASE WHEN s.webhook_old_until > clock_timestamp() THEN s.webhook_old_secret END AS webhook_old_secret, d.traceparent
    FROM unnest(${ids as Uuid[]}::uuid[]) AS wanted (id)
    CROSS JOIN LATERAL (SELECT * FROM subscriptions WHERE board_id = ${boardId} AND id = wanted.id AND webhook_url IS NOT NULL OFFSET 0) AS s
    LEFT JOIN LATERAL (
      SELECT traceparent FROM task_details WHERE board_id = ${boardId} AND task_id = s.subject_id AND NOT s.is_delegation OFFSET 0
    ) AS d ON true`;
  return new Map(rows.map((row) => [row.id, row]));
}
