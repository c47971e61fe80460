/** Webhooks that have something coming. */
import type { Runner } from '../../db/client.ts';
import type { Uuid } from '../../kernel/ids.ts';

/**
 * For hosts that have room. Of more than there is room for any, not the same each time. From host to host of all boards, a step into the index for
 * each: however much is piled up, only the first of each is looked at.
 */
export async function listBoardsWithDueWebhooks(
  sql: Runner,
  fullHosts: readonly string[],
  boardsMax: number,
): Promise<number[]> {
  const rows = await sql<{ board_id: number }[]>`
    /* webhooks.list_boards */
    WITH RECURSIVE first (board_id, host, due_at) AS (
      (
        SELECT board_id, webhook_host, due_at FROM deliveries WHERE status = 'pending' AND is_webhook
        ORDER BY board_id, webhook_host, due_at, id LIMIT 1
      )
      UNION ALL
      SELECT next.* FROM first CROSS JOIN LATERAL (
        SELECT board_id, webhook_host, due_at FROM deliveries
        WHERE status = 'pending' AND is_webhook AND (board_id, webhook_host) > (first.board_id, first.host)
        ORDER BY board_id, webhook_host, due_at, id LIMIT 1
      ) AS next
    )
    SELECT board_id FROM (
      SELECT board_id FROM first WHERE due_at <= clock_timestamp() AND host <> ALL (${fullHosts as string[]}::text[])
      UNION
      SELECT board_id FROM deliveries
      WHERE status = 'leased' AND is_webhook AND lease_expires_at <= clock_timestamp() AND webhook_host <> ALL (${fullHosts as string[]}::text[])
    ) AS due
    ORDER BY random() LIMIT ${boardsMax}`;
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
