/**
 * The dashboard at its own origin: the page under every address that it has, and its files. Open to anybody, because nothing of a board is
 * in them: the page asks the API, with the key of whoever signs in. Unknown addresses stay those of the API, with its answers.
 */
import type { App, Call } from '../../http/app.ts';
import type { Answer } from '../../http/exchange.ts';
import { problemAnswer } from '../../http/on-error.ts';
import { requestIdOf } from '../../http/request-headers.ts';
import { writeAnswer } from '../../http/write-answer.ts';
import { ProblemError } from '../../kernel/problem-error.ts';
import { type Asset, DashboardAssets, TOP_FILES } from './assets.ts';
import { PAGE_HEADERS, UNBUILT_PAGE } from './page.ts';

/** What the app itself tells apart: no more of the address is the server's affair. */
const PAGE_PATHS = ['/', '/boards', '/boards/*'];
/** A year: the name of such a file changes with its content. */
const FOR_EVER = 'public, max-age=31536000, immutable';
/** Asked for anew each time, and answered 304 while it is the same. */
const REVALIDATED = 'no-cache';

export function bindDashboardRoutes(app: App, folder: string): void {
  const assets = new DashboardAssets(folder);
  for (const path of PAGE_PATHS)
    app.on('GET', path, async (call) => {
      const page = await assets.page();
      write(call, page === null ? unbuiltPage() : answerOf(call, page, REVALIDATED, PAGE_HEADERS));
    });
  app.on('GET', '/assets/{file}', async (call) => {
    const asset = await assets.asset(call.params['file'] ?? '');
    write(call, asset === null ? null : answerOf(call, asset, FOR_EVER));
  });
  for (const name of TOP_FILES)
    app.on('GET', `/${name}`, async (call) => {
      const asset = await assets.topFile(name);
      write(call, asset === null ? null : answerOf(call, asset, REVALIDATED));
    });
}

function unbuiltPage(): Answer {
  const contentType = 'text/html; charset=utf-8';
  return { status: 200, headers: PAGE_HEADERS, raw: { body: UNBUILT_PAGE, contentType } };
}

function answerOf(
  { incoming }: Call,
  { body, contentType, gzip, etag }: Asset,
  cacheControl: string,
  more: Readonly<Record<string, string>> = {},
): Answer {
  const isPacked = gzip !== null && takesGzip(incoming.headers['accept-encoding']);
  // Strong, hence one for each encoding.
  const tag = isPacked ? `"${etag}-gzip"` : `"${etag}"`;
  const headers = {
    ...more,
    'Cache-Control': cacheControl,
    ETag: tag,
    // Also where there is only one: a cache must not be told otherwise by the first who asks.
    Vary: 'Accept-Encoding',
  };
  if (isKnown(incoming.headers['if-none-match'], etag)) return { status: 304, headers };
  return {
    status: 200,
    headers: isPacked ? { ...headers, 'Content-Encoding': 'gzip' } : headers,
    raw: { body: isPacked ? gzip : body, contentType },
  };
}

/** RFC 9110, 12.5.3: by the name, else by `*`; a weight of 0 refuses. */
function takesGzip(acceptEncoding: string | undefined): boolean {
  const weights = new Map<string, number>();
  for (const part of (acceptEncoding ?? '').toLowerCase().split(',')) {
    const [coding = '', ...parameters] = part.split(';').map((word) => word.trim());
    const weight = parameters.find((parameter) => parameter.startsWith('q='))?.slice(2) ?? '1';
    weights.set(coding, Number(weight));
  }
  return (weights.get('gzip') ?? weights.get('*') ?? 0) > 0;
}

/** By the content: in which encoding it is kept does not matter, and a proxy may have made the tag a weak one. */
function isKnown(ifNoneMatch: string | undefined, etag: string): boolean {
  const known = (ifNoneMatch ?? '').split(',').map((tag) => tag.trim().replace(/^W\//, ''));
  return known.includes('*') || known.includes(`"${etag}"`) || known.includes(`"${etag}-gzip"`);
}

/** null: there is no such file. */
function write({ incoming, outgoing }: Call, answer: Answer | null): void {
  const requestId = requestIdOf(incoming);
  const problem = new ProblemError('not_found', 'There is no such file.', {
    extensions: { resource: 'route' },
  });
  writeAnswer(outgoing, requestId, answer ?? problemAnswer(problem, requestId));
}
