/** Binds health, metrics, and the description of the API. */
import { buildAsyncApiDocument } from '../../../contract/asyncapi.ts';
import { buildOpenApiDocument } from '../../../contract/openapi.ts';
import {
  asyncapiDocument,
  docsPage as docsPageRoute,
  livez,
  metrics as metricsRoute,
  openapiDocument,
  readyz,
} from '../../../contract/system.ts';
import type { App } from '../../http/app.ts';
import type { Bind } from '../../http/bind-route.ts';
import { problemAnswer } from '../../http/on-error.ts';
import { requestIdOf } from '../../http/request-headers.ts';
import { writeAnswer } from '../../http/write-answer.ts';
import { ProblemError } from '../../kernel/problem-error.ts';
import { DOCS_CONTENT_SECURITY_POLICY, docsAsset, docsPage } from './docs-page.ts';
import type { SystemService } from './service.ts';

interface SystemRoutes {
  readonly app: App;
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
  bind(metricsRoute, async ({ caller, isLocal }) => {
    if (caller === null && !isLocal()) {
      throw new ProblemError(
        'unauthenticated',
        'Metrics are open on loopback only, without a proxy and by a name of it; elsewhere use the key of an observer.',
        { headers: { 'WWW-Authenticate': 'Bearer realm="lanekeeper"' } },
      );
    }
    return { status: 200, raw: await system.scrape() };
  });

  // Made when somebody asks for the first time: it takes some 0.1 s of a core, nearly half of a start.
  let document: ReturnType<typeof buildOpenApiDocument> | undefined;
  bind(openapiDocument, () => {
    document ??= buildOpenApiDocument(version);
    return { status: 200, body: document };
  });
  let socketDocument: ReturnType<typeof buildAsyncApiDocument> | undefined;
  bind(asyncapiDocument, () => {
    socketDocument ??= buildAsyncApiDocument(version);
    return { status: 200, body: socketDocument };
  });
  bind(docsPageRoute, () => ({
    status: 200,
    raw: { body: docsPage(), contentType: 'text/html; charset=utf-8' },
    headers: { 'Content-Security-Policy': DOCS_CONTENT_SECURITY_POLICY },
  }));
  app.on('GET', '/docs/{asset}', async ({ incoming, outgoing, params }) => {
    const asset = await docsAsset(params['asset'] ?? '');
    const requestId = requestIdOf(incoming);
    if (asset === null) {
      const problem = new ProblemError('not_found', 'There is no such file.', {
        extensions: { resource: 'route' },
      });
      writeAnswer(outgoing, requestId, problemAnswer(problem, requestId));
      return;
    }
    const headers = { 'Cache-Control': 'public, max-age=3600' };
    writeAnswer(outgoing, requestId, { status: 200, headers, raw: asset });
  });
}
