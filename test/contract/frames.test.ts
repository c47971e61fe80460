import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { expect, test } from 'vitest';
import { z } from 'zod';
import { CLOSE_CODES, WATCH_SUBPROTOCOL } from '../../src/contract/constants.ts';
import { ClientFrame, ServerFrame } from '../../src/contract/frames.ts';

/** The frames as they are under this version of the protocol. */
const PINNED = { subprotocol: 'lanekeeper.v1', fingerprint: '2d8f7b17d406a236' };

const WHAT_TO_DO = [
  'The frames of the watch socket changed. Clients outside this repository are written against them.',
  'Only added a frame, an optional field or a value: note it in "Wire history" of docs/protocol.md, pin the new fingerprint.',
  'Removed, renamed or narrowed something, or changed what it means: do not, or make it a new WATCH_SUBPROTOCOL.',
].join('\n');

function fingerprint(): string {
  const schemas = [
    z.toJSONSchema(ClientFrame, { io: 'input' }),
    z.toJSONSchema(ServerFrame, { io: 'output' }),
  ];
  return createHash('sha256')
    .update(JSON.stringify([schemas, CLOSE_CODES]))
    .digest('hex')
    .slice(0, 16);
}

test('frames and close codes do not change unnoticed', () => {
  expect({ subprotocol: WATCH_SUBPROTOCOL, fingerprint: fingerprint() }, WHAT_TO_DO).toEqual(PINNED);
});

test('every frame type and close code is described in docs/protocol.md, under the version that has it', async () => {
  const text = await readFile(new URL('../../docs/protocol.md', import.meta.url), 'utf8');
  const types = [...ClientFrame.options, ...ServerFrame.options].map((frame) => frame.shape.type.value);
  expect(types.filter((type) => !text.includes(`\n| \`${type}\` |`))).toEqual([]);
  expect(Object.values(CLOSE_CODES).filter((code) => !text.includes(`\n| ${code} |`))).toEqual([]);
  expect(text).toContain(`\n| \`${WATCH_SUBPROTOCOL}\` |`);
});

test('a frame with an unknown field or type is refused, one with an explicit null is not', () => {
  const watch = { type: 'watch', id: 'w1', after: null, lanes: null, tasks: null, kinds: null };
  expect(ClientFrame.safeParse(watch).success).toBe(true);
  expect(ClientFrame.safeParse({ ...watch, surprise: 1 }).success).toBe(false);
  expect(ClientFrame.safeParse({ ...watch, type: 'surprise' }).success).toBe(false);
});
