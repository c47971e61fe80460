/** Binds health, metrics, and the description of the API. */
import type { Hono } from 'hono';
import { buildOpenApiDocument } from '../../../contract/openapi.ts';
import {
  docsPage as docsPageRoute,
  livez,
  metrics as metricsRoute,
  openapiDocument,
  readyz,
} from '../../../contract/system.ts';
import type { Bind } from '../../http/bind-route.ts';
import type { NodeEnv } from '../../http/exchange.ts';
import { ProblemError } from '../../kernel/problem-error.ts';
import { DOCS_CONTENT_SECURITY_POLICY, docsAsset, docsPage } from './docs-page.ts';
import type { SystemService } from './service.ts';

const LOOPBACK = new Set(['127.0.0.1', '::1', '::ffff:127.0.0.1']);

interface SystemRoutes {
  readonly app: Hono<NodeEnv>;
  readonly system: SystemService;
  readonly version: string;
}

export function bindSystemRoutes(bind: Bind, { app, system, version }: SystemRoutes): void {
  bind(livez, () => ({ status: 200, body: { status: 'ok', version } }));
  bind(readyz, async () => {
    const checks = await system.readiness();
    const isReady = Object.values(checks).every((check) => check.ok);
    return { status: isReady ? 200 : 503, body: { status: isReady ? 'ready' : 'unready', checks } };
  });
  bind(metricsRoute, async ({ caller, remoteAddress }) => {
    if (caller === null && !LOOPBACK.has(remoteAddress)) {
      throw new ProblemError(
        'unauthenticated',
        'Metrics are open on loopback only; elsewhere use the key of an observer.',
        { headers: { 'WWW-Authenticate': 'Bearer realm="lanekeeper"' } },
      );
    }
    return { status: 200, raw: await system.scrape() };
  });

  const document = buildOpenApiDocument(version);
  bind(openapiDocument, () => ({ status: 200, body: document }));
  bind(docsPageRoute, () => ({
    status: 200,
    raw: { body: docsPage(), contentType: 'text/html; charset=utf-8' },
    headers: { 'Content-Security-Policy': DOCS_CONTENT_SECURITY_POLICY },
  }));
  app.get('/docs/:asset', async (context, next) => {
    const asset = await docsAsset(context.req.param('asset'));
    if (asset === null) return next();
    const headers = {
      'Content-Type': asset.contentType,
      'Cache-Control': 'public, max-age=3600',
      'X-Content-Type-Options': 'nosniff',
    };
    return new Response(typeof asset.body === 'string' ? asset.body : new Uint8Array(asset.body), {
      headers,
    });
  });
}
