// Turns src/dashboard into static files below dist/dashboard. Names of scripts and styles carry a hash of their content, so that a browser
// may keep them for ever; index.html alone is asked for anew. Nothing is inlined: the page's policy allows no inline script or style.

import { cp, mkdir, readdir, rename, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import react from '@vitejs/plugin-react';
import { build } from 'vite';
import { DIST, ROOT } from './ensure-built.mjs';

// Files that the page does not name any more may still be loaded by pages that are open: for so long.
const KEPT_MS = 60 * 60_000;

/** @returns {Promise<void>} */
export async function buildDashboard() {
  const draft = join(DIST, `dashboard.${process.pid}.tmp`);
  const place = join(DIST, 'dashboard');
  const environment = process.env['NODE_ENV'];
  // Whoever builds, be it a test: libraries look at this to choose what they are made for.
  process.env['NODE_ENV'] = 'production';
  try {
    await build({
      root: join(ROOT, 'src/dashboard'),
      configFile: false,
      logLevel: 'warn',
      plugins: [react()],
      build: {
        outDir: draft,
        emptyOutDir: true,
        // What browsers of the last two years know.
        target: 'es2022',
        assetsInlineLimit: 0,
        modulePreload: { polyfill: false },
        reportCompressedSize: false,
      },
    });
    await mkdir(place, { recursive: true });
    await cp(join(draft, 'assets'), join(place, 'assets'), { recursive: true });
    for (const name of await readdir(draft))
      if (name.endsWith('.svg')) await cp(join(draft, name), join(place, name));
    // The page comes last: it names the others.
    await rename(join(draft, 'index.html'), join(place, 'index.html'));
    await forgetOld(join(place, 'assets'), new Set(await readdir(join(draft, 'assets'))));
  } finally {
    if (environment === undefined) delete process.env['NODE_ENV'];
    else process.env['NODE_ENV'] = environment;
    await rm(draft, { recursive: true, force: true });
  }
}

/**
 * @param {string} folder
 * @param {ReadonlySet<string>} present
 */
async function forgetOld(folder, present) {
  for (const name of await readdir(folder)) {
    if (present.has(name)) continue;
    const path = join(folder, name);
    const found = await stat(path).catch(() => null);
    if (found !== null && Date.now() - found.mtimeMs > KEPT_MS) await rm(path, { force: true });
  }
}
