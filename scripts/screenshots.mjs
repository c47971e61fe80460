// `npm run screenshots`: every page of the dashboard with the demo's data, on a desk and on a phone, light and dark, as
// docs/screenshots/<page>-<desktop|phone>-<light|dark>.png.
//   --only NAMES   a comma-separated choice of pages
//   --out DIR      elsewhere
//   --seconds N    how long the demo lives before it is looked at (45)

import { mkdir, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { ensureBuilt, ROOT } from './ensure-built.mjs';

/** They are part of the repository: one that is larger is a mistake. */
const FILE_BYTES_MAX = 200 * 1024;
/** Until the questions are answered, something has failed and something waits for a person. */
const LIVES_SECONDS = 45;
/** Of what a page reads; far more than it takes. */
const SHOWN_MS = 15_000;
const VIEWPORTS = { desktop: { width: 1280, height: 800 }, phone: { width: 360, height: 740 } };
const THEMES = /** @type {const} */ (['light', 'dark']);

/** @typedef {{ path: string, isSignedOut?: boolean }} Place */

const { values } = parseArgs({
  options: { only: { type: 'string' }, out: { type: 'string' }, seconds: { type: 'string' } },
});
const folder = values.out ?? join(ROOT, 'docs/screenshots');

/**
 * @param {import('lanekeeper/client').Client} client
 * @returns {Promise<Record<string, Place>>}
 */
async function findPlaces(client) {
  const root = `/boards/${client.board}`;
  const [{ tasks: running }, { tasks: done }, { delegations }] = await Promise.all([
    client.tasks.list({ status: 'running', order: 'created' }),
    client.tasks.list({ status: 'done', lane: 'builder' }),
    client.delegations.list(),
  ]);
  const long = running.find(({ title }) => title.startsWith('Draw')) ?? running[0];
  const answered = delegations.find(({ status }) => status === 'completed');
  const pages = ['lanes', 'attention', 'delegations', 'deliveries', 'activity', 'charts', 'keys'];
  return {
    'sign-in': { path: '/', isSignedOut: true },
    board: { path: root },
    'board-settings': { path: `${root}?settings=open` },
    'task-running': { path: `${root}/tasks/${long?.id}` },
    'task-done': { path: `${root}/tasks/${done[0]?.id}` },
    delegation: { path: `${root}/delegations/${answered?.id}` },
    ...Object.fromEntries(pages.map((page) => [page, { path: `${root}/${page}` }])),
  };
}

/**
 * @param {import('playwright-core').Page} page
 * @param {Place} place
 */
async function show(page, { path, isSignedOut }) {
  await page.goto(path, { waitUntil: 'networkidle' });
  const sign = isSignedOut ? 'form' : '[data-connection="live"]';
  await page.locator(sign).waitFor({ timeout: SHOWN_MS });
  await page.locator('main :text("Loading …")').first().waitFor({ state: 'hidden', timeout: SHOWN_MS });
  // What is drawn on a canvas is drawn in the frame after.
  await page.evaluate('new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))');
}

/**
 * @param {import('playwright-core').Browser} browser
 * @param {{ url: string, adminKey: string }} demo
 * @param {{ device: keyof typeof VIEWPORTS, theme: 'light' | 'dark' }} look
 * @param {[string, Place][]} places
 */
async function takeAll(browser, { url, adminKey }, { device, theme }, places) {
  for (const [name, place] of places) {
    const context = await browser.newContext({
      baseURL: url,
      viewport: VIEWPORTS[device],
      isMobile: device === 'phone',
      hasTouch: device === 'phone',
      colorScheme: theme,
      reducedMotion: 'reduce',
    });
    const key = place.isSignedOut
      ? ''
      : `sessionStorage.setItem('lanekeeper.key', ${JSON.stringify(adminKey)});`;
    await context.addInitScript(`${key} localStorage.setItem('lanekeeper.theme', '${theme}');`);
    const page = await context.newPage();
    await show(page, place);
    const file = join(folder, `${name}-${device}-${theme}.png`);
    await writeFile(file, await page.screenshot());
    await context.close();
    const { size } = await stat(file);
    console.log(`${String(Math.ceil(size / 1024)).padStart(4)} KB  ${file}`);
    if (size > FILE_BYTES_MAX) {
      console.error(`${file} is larger than ${FILE_BYTES_MAX / 1024} KB`);
      process.exitCode = 1;
    }
  }
}

await ensureBuilt();
const [{ startDemo }, { launchChromium }] = await Promise.all([
  import('./demo/demo.mjs'),
  import('./chromium.mjs'),
]);
await mkdir(folder, { recursive: true });
const browser = await launchChromium();
const demo = await startDemo({ port: 0 });
try {
  await delay(Number(values.seconds ?? LIVES_SECONDS) * 1000);
  const wanted = values.only?.split(',');
  const places = Object.entries(await findPlaces(demo.client)).filter(
    ([name]) => wanted === undefined || wanted.includes(name),
  );
  for (const device of /** @type {(keyof typeof VIEWPORTS)[]} */ (Object.keys(VIEWPORTS))) {
    for (const theme of THEMES) await takeAll(browser, demo, { device, theme }, places);
  }
} finally {
  await browser.close();
  await demo.stop();
}
