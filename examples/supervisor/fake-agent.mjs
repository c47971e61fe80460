// A child for trying the supervisor out: takes tasks one after the other, and remembers how many it has had, which is what a warm session is
// for. What is to go wrong is said by payload.do: crash and stall (at the first attempt), deaf, fail, block; "listen" waits for a message.
import { createInterface } from 'node:readline';

/** Of the task at hand. */
let run = '';
/** @param {object} message */
const say = (message) => process.stdout.write(`${JSON.stringify({ run, ...message })}\n`);
/** What a message or an interrupt does to the task at hand. */
/** @type {(text: string) => void} */
let onMessage = () => undefined;
/** @type {() => void} */
let onInterrupt = () => undefined;
let onNudge = () => console.log('still here');
let count = 0;

/** @param {{ task: { title: string, payload: any }, handoff: { attempts: object[] } }} given */
function begin({ task: { title, payload }, handoff }) {
  count += 1;
  onMessage = () => undefined;
  console.log(`task ${count} of this session: ${title}`);
  const isFirst = handoff.attempts.length === 0;
  onInterrupt = () => say({ type: 'interrupted' });
  if (payload?.do === 'crash' && isFirst) {
    console.error('out of ideas');
    process.exit(3);
  }
  switch (payload?.do) {
    case 'stall':
      if (!isFirst) break;
      onNudge = () => undefined;
      return;
    case 'deaf':
      onInterrupt = () => undefined;
      return;
    case 'fail':
      say({ type: 'failed', error: 'it cannot be done', permanent: true });
      return;
    case 'block':
      say({ type: 'blocked', reason: 'which colour?' });
      return;
    case 'listen':
      onMessage = (text) => say({ type: 'done', summary: `told: ${text}` });
      return;
    default:
  }
  say({ type: 'progress', value: 1, note: 'half way' });
  say({ type: 'done', summary: `task ${count} of ${process.pid}`, result: { session: process.pid, count } });
}

createInterface({ input: process.stdin }).on('line', (line) => {
  const message = JSON.parse(line);
  if (message.type === 'task') {
    run = message.run;
    begin(message);
  }
  if (message.type === 'message') onMessage(message.text);
  if (message.type === 'interrupt') onInterrupt();
  if (message.type === 'nudge') onNudge();
});
say({ type: 'ready' });
