// The Chromium of this machine, for what looks at the dashboard. It is told to speak to nobody but the page's own server.

import { chromium } from 'playwright-core';

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

/**
 * @param {readonly string[]} [more] further arguments
 * @returns {Promise<import('playwright-core').Browser>}
 */
export function launchChromium(more = []) {
  return chromium.launch({
    executablePath: process.env['CHROME_PATH'] ?? '/usr/bin/chromium',
    args: [...ARGUMENTS, ...more],
  });
}
