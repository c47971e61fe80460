/**
 * The page at /docs: swagger-ui over our own /openapi.json, every byte from our own origin. It must never load anything
 * from elsewhere (it has to work offline, and it is where people paste keys), keep a key beyond the page's life, or run
 * inline script. Only the files listed here can be read; a name from a request is a key of that list, never a path.
 */
import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** What the page needs and no more: swagger-ui draws its icons as data: images. It needs no inline style. */
export const DOCS_CONTENT_SECURITY_POLICY = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "img-src 'self' data:",
  "connect-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join('; ');

export interface DocsAsset {
  readonly body: Uint8Array | string;
  readonly contentType: string;
}

const CSS = 'text/css; charset=utf-8';
const JAVASCRIPT = 'text/javascript; charset=utf-8';

/** Runs after swagger-ui-bundle.js. validatorUrl null: no badge, hence no request to anybody else's server. */
const START_SCRIPT = `window.SwaggerUIBundle({
  url: '/openapi.json',
  dom_id: '#swagger-ui',
  deepLinking: true,
  defaultModelsExpandDepth: 0,
  persistAuthorization: false,
  queryConfigEnabled: false,
  validatorUrl: null,
});
`;

/** Name below /docs/ → media type. These are all the files there are. */
export const DOCS_ASSETS = {
  'swagger-ui.css': CSS,
  'swagger-ui-bundle.js': JAVASCRIPT,
  'start.js': JAVASCRIPT,
} as const;

type DocsAssetName = keyof typeof DOCS_ASSETS;

export function docsPage(): string {
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Lanekeeper API</title>
<link rel="icon" href="data:,">
<link rel="stylesheet" href="/docs/swagger-ui.css">
<script src="/docs/swagger-ui-bundle.js" defer></script>
<script src="/docs/start.js" defer></script>
</head>
<body>
<p>Sockets and event streams are described by <a href="/asyncapi.json">/asyncapi.json</a> (AsyncAPI 3).</p>
<div id="swagger-ui"></div>
<noscript>This page needs JavaScript. The same description is at <a href="/openapi.json">/openapi.json</a>.</noscript>
</body>
</html>
`;
}

/** Bounded by DOCS_ASSETS: two files, 2 MB together. A failed read is not kept, so that a build mends it. */
const loaded = new Map<DocsAssetName, DocsAsset>();

/** The file of that name, or null when there is none: the name is unknown, or swagger-ui is not installed. */
export async function docsAsset(name: string): Promise<DocsAsset | null> {
  if (!isDocsAssetName(name)) return null;
  const present = loaded.get(name);
  if (present !== undefined) return present;
  const body = name === 'start.js' ? START_SCRIPT : await readFirst(swaggerUiFolders(), name);
  if (body === null) return null;
  const asset = { body, contentType: DOCS_ASSETS[name] };
  loaded.set(name, asset);
  return asset;
}

function isDocsAssetName(name: string): name is DocsAssetName {
  return Object.hasOwn(DOCS_ASSETS, name);
}

/** Where the build puts swagger-ui's files, and where a checkout that has not been built still has them. */
function swaggerUiFolders(): string[] {
  const root = packageRoot();
  return [join(root, 'dist', 'docs-ui'), ...installedSwaggerUi(root)];
}

/** The nearest package.json above: after bundling, this module lies somewhere below dist/. */
function packageRoot(): string {
  let folder = dirname(fileURLToPath(import.meta.url));
  while (!existsSync(join(folder, 'package.json')) && dirname(folder) !== folder) folder = dirname(folder);
  return folder;
}

function installedSwaggerUi(root: string): string[] {
  try {
    return [dirname(createRequire(join(root, 'package.json')).resolve('swagger-ui-dist/package.json'))];
  } catch (error) {
    // A devDependency: an installed package has the built copies instead.
    if (error instanceof Error && 'code' in error && error.code === 'MODULE_NOT_FOUND') return [];
    throw error;
  }
}

async function readFirst(folders: readonly string[], name: DocsAssetName): Promise<Uint8Array | null> {
  for (const folder of folders) {
    const path = join(folder, name);
    if (existsSync(path)) return readFile(path);
  }
  return null;
}
