/** Reads one line from a terminal without showing it. */

import { createInterface } from 'node:readline';
import type { Writable } from 'node:stream';
import { PassThrough } from 'node:stream';

export function readHidden(prompt: string, stdin: NodeJS.ReadStream, stderr: Writable): Promise<string> {
  stderr.write(prompt);
  // readline echoes what is typed to its output: one that leads nowhere.
  const reader = createInterface({ input: stdin, output: new PassThrough().resume(), terminal: true });
  return new Promise((resolve) => {
    let line = '';
    reader.once('line', (text) => {
      line = text.trim();
      reader.close();
    });
    reader.once('SIGINT', () => reader.close());
    reader.once('close', () => {
      stderr.write('\n');
      resolve(line);
    });
  });
}
