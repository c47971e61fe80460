/** Binds health, metrics, and the description of the API. */
import { buildOpenApiDocument } from '../../../contract/openapi.ts';
import { docsPage as docsPageRoute, livez, metrics as metricsRoute, openapiDocument, readyz } from '../../../contract/system.ts';
import { TASK_STATUSES } from '../../../contract/statuses.ts';
import type { Hono } from 'hono';
import type { Sql } from '../../db/client.ts';
import { withinDeadline } from '../../db/tx.ts';
import type { Bind } from '../../http/bind-route.ts';
import type { NodeEnv } from '../../http/exchange.ts';
import { ProblemError } from '../../kernel/problem-error.ts';
import type { Metrics } from '../../observability/metrics.ts';
import { DOCS_CONTENT_SECURITY_POLICY, docsAsset, docsPage } from './docs-page.ts';
import { countAppliedMigrations, readGauges } from './store.ts';

interface SystemRoutes {
  readonly app: Hono<NodeEnv>;
  readonly sql: Sql;
  readonly metrics: Metrics;
  readonly version: string;
  readonly knownMigrations: number;
  readonly isDraining: () => boolean;
  readonly pollAgeMs: () => number;
  readonly watchSockets: () => number;
  readonly claimWaiters: () => number;
}

interface Check {
  readonly ok: boolean;
  readonly detail: string;
}

/** Several missed floor polls in a row: followers of this server would be late. */
const POLL_AGE_MAX_MS = 5000;
const LOOPBACK = new Set(['127.0.0.1', '::1', '::ffff:127.0.0.1']);

export function bindSystemRoutes(bind: Bind, parts: SystemRoutes): void {
  bind(livez, () => ({ status: 200, body: { status: 'ok', version: parts.version } }));
  bind(readyz, async () => {
    const checks = await readinessOf(parts);
    const isReady = Object.values(checks).every((check) => check.ok);
    return { status: isReady ? 200 : 503, body: { status: isReady ? 'ready' : 'unready', checks } };
  });
  bind(metricsRoute, async ({ caller, remoteAddress }) => {
    if (caller === null && !LOOPBACK.has(remoteAddress)) {
      throw new ProblemError('unauthenticated', 'Metrics are open on loopback only; elsewhere use the key of an observer.', {
        headers: { 'WWW-Authenticate': 'Bearer realm="lanekeeper"' },
      });
    }
    await collectGauges(parts);
    return { status: 200, raw: { body: await parts.metrics.registry.metrics(), contentType: parts.metrics.registry.contentType } };
  });

  const document = buildOpenApiDocument(parts.version);
  bind(openapiDocument, () => ({ status: 200, body: document }));
  bind(docsPageRoute, () => ({
    status: 200,
    raw: { body: docsPage(), contentType: 'text/html; charset=utf-8' },
    headers: { 'Content-Security-Policy': DOCS_CONTENT_SECURITY_POLICY },
  }));
  parts.app.get('/docs/:asset', async (context, next) => {
    const asset = await docsAsset(context.req.param('asset'));
    if (asset === null) return next();
    const headers = { 'Content-Type': asset.contentType, 'Cache-Control': 'public, max-age=3600', 'X-Content-Type-Options': 'nosniff' };
    return new Response(typeof asset.body === 'string' ? asset.body : new Uint8Array(asset.body), { headers });
  });
}

async function readinessOf({ sql, knownMigrations, isDraining, pollAgeMs }: SystemRoutes): Promise<Record<string, Check>> {
  const pollAge = pollAgeMs();
  const checks: Record<string, Check> = {
    draining: isDraining() ? { ok: false, detail: 'the server is shutting down' } : { ok: true, detail: 'accepting work' },
    log_poll: { ok: pollAge < POLL_AGE_MAX_MS, detail: `last looked ${Math.round(pollAge)} ms ago` },
  };
  try {
    const applied = await withinDeadline(countAppliedMigrations(sql));
    checks['database'] = { ok: true, detail: 'reachable' };
    checks['schema'] = { ok: applied >= knownMigrations, detail: `${applied} of ${knownMigrations} migrations applied` };
  } catch {
    // Why is in the log of the requests that failed; here it only matters that it did.
    checks['database'] = { ok: false, detail: 'does not answer' };
  }
  return checks;
}

async function collectGauges({ sql, metrics, pollAgeMs, watchSockets, claimWaiters }: SystemRoutes): Promise<void> {
  metrics.watchSockets.set(watchSockets());
  metrics.claimWaiters.set(claimWaiters());
  metrics.pollAgeSeconds.set(pollAgeMs() / 1000);
  try {
    const gauges = await withinDeadline(readGauges(sql));
    for (const status of TASK_STATUSES) metrics.tasks.set({ status }, gauges.statuses[status] ?? 0);
    metrics.liveClaims.set(gauges.liveClaims);
    metrics.oldestReadySeconds.set(gauges.oldestReadySeconds);
    metrics.oldestTransactionSeconds.set(gauges.oldestTransactionSeconds);
  } catch {
    // A scrape while the database is away still shows the process's own figures.
  }
}
