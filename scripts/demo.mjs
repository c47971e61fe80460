// `npm run demo`: a server with a board that lives: three lanes with real workers, some fifty tasks, questions to several lanes at once. It
// ends with Ctrl-C, and leaves nothing behind.
//   --seconds N   ends by itself
//   --port N      default: PORT, else 7420 or the next that is free

import { parseArgs } from 'node:util';
import { ensureBuilt } from './ensure-built.mjs';

const { values } = parseArgs({ options: { seconds: { type: 'string' }, port: { type: 'string' } } });
const given = values.port ?? process.env['PORT'];
const port = given === undefined ? null : Number(given);
const seconds = values.seconds === undefined ? null : Number(values.seconds);
if (Number.isNaN(port) || Number.isNaN(seconds)) {
  console.error('usage: npm run demo -- [--seconds N] [--port N]');
  process.exit(2);
}

const ended = new Promise((resolve) => {
  for (const name of /** @type {const} */ (['SIGINT', 'SIGTERM'])) process.on(name, resolve);
});
await ensureBuilt();
// Only now: the demo uses the client library that has just been built.
const { startDemo } = await import('./demo/demo.mjs');
console.log('\n  The demo is starting: a database of its own takes some seconds …');
const demo = await startDemo({ port });
console.log(`
  An atlas of lighthouses: three lanes are at work.

  Dashboard   ${await demo.createSignInLink()}
              signs you in once, within 10 minutes
  API         ${demo.url}/v1
  Admin key   in ${demo.adminKeyFile} (readable by you only)

  Ctrl-C ends it; nothing of it is kept.
`);
const timer = seconds === null ? null : setTimeout(() => process.emit('SIGTERM'), seconds * 1000);
await ended;
if (timer !== null) clearTimeout(timer);
await demo.stop();
