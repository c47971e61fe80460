/** A post to an address of somebody else's always ends, whatever answers there; and never in the own network, however that is written. */

import type { AddressInfo } from 'node:net';
import { createServer, type Server } from 'node:net';
import { afterEach, expect, test } from 'vitest';
import { postGuarded } from '../../../../src/server/features/webhooks/guarded-post.ts';
import { isPublicAddress } from '../../../../src/server/features/webhooks/public-address.ts';

let receiver: Server | undefined;

afterEach(() => {
  receiver?.close();
});

/** Says the same to everybody, and hangs up. */
async function receiverThatSays(text: string): Promise<string> {
  const made = createServer((socket) => {
    socket.on('error', () => undefined);
    socket.once('data', () => socket.end(text));
  });
  receiver = made;
  await new Promise<void>((resolve) => made.listen(0, '127.0.0.1', resolve));
  return `127.0.0.1:${(made.address() as AddressInfo).port}`;
}

test.each([
  [
    'a change of protocol',
    'HTTP/1.1 101 Switching Protocols\r\nUpgrade: other\r\nConnection: Upgrade\r\n\r\n',
  ],
  ['nothing', ''],
])('an answer that is %s is a failure', async (_name, text) => {
  const host = await receiverThatSays(text);
  const limits = { trusted: new Set([host]), signal: new AbortController().signal };
  await expect(postGuarded(`http://${host}/hook`, {}, '{}', limits)).rejects.toThrow();
});

test('no address of the own network is public, however it is written', () => {
  const hidden = [
    '10.0.0.1',
    '::1',
    '::10.0.0.1',
    '::ffff:10.0.0.1',
    '64:ff9b::10.0.0.1',
    '64:ff9b:1::10.0.0.1',
    '64:ff9b:1:a00:0:100:808:808',
    '::93.184.215.14',
    '::5db8:d70e',
    '4000::1',
    '2002:a00:1::',
    'fd00::1',
    'fec0::1',
  ];
  for (const address of hidden) expect([address, isPublicAddress(address)]).toEqual([address, false]);
  const open = ['93.184.215.14', '2606:4700::1111', '64:ff9b::93.184.215.14'];
  for (const address of open) expect([address, isPublicAddress(address)]).toEqual([address, true]);
});
