// The Chromium of this machine, for what looks at the dashboard. It is told to speak to nobody but the page's own server.

import { existsSync } from 'node:fs';
import { chromium } from 'playwright-core';

/** Debian's, the cheaper one first: it draws no window, which is a quarter of what pages cost. */
const PLACES = ['/usr/bin/chromium-headless-shell', '/usr/bin/chromium'];

/** No sandbox: it may run as root, and opens pages of this repository alone. */
const ARGUMENTS = [
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
];

/** @returns {string | null} the one that CHROME_PATH names, or that is installed; null: there is none */
export function findChromium() {
  const named = process.env['CHROME_PATH'];
  const places = named === undefined || named === '' ? PLACES : [named];
  return places.find((place) => existsSync(place)) ?? null;
}

/**
 * @param {readonly string[]} [more] further arguments
 * @returns {Promise<import('playwright-core').Browser>}
 */
export function launchChromium(more = []) {
  return chromium.launch({
    executablePath: findChromium() ?? '/usr/bin/chromium',
    args: [...ARGUMENTS, ...more],
  });
}
