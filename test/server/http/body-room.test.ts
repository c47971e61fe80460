import { PassThrough } from 'node:stream';
import { expect, test } from 'vitest';
import { createTask } from '../../../src/contract/task-routes.ts';
import { readJsonBody } from '../../../src/server/http/body.ts';
import { BodyRoom, type HeldBody } from '../../../src/server/http/body-room.ts';

const SMALL = 64 * 1024;
const LARGE = 400 * 1024;
const REFUSED = { code: 'rate_limited', status: 429, headers: { 'Retry-After': '1', Connection: 'close' } };

/** A request whose body comes in pieces; `declared`: with its length in the head. */
function requestOf(bytes: number, isDeclared: boolean) {
  const body = JSON.stringify({ title: 'x'.repeat(bytes - '{"title":""}'.length) });
  const incoming = Object.assign(new PassThrough(), {
    headers: {
      'content-type': 'application/json',
      ...(isDeclared ? { 'content-length': String(bytes) } : {}),
    },
  });
  for (let sent = 0; sent < bytes; sent += 50_000) incoming.write(body.slice(sent, sent + 50_000));
  incoming.end();
  return incoming as unknown as Parameters<typeof readJsonBody>[0];
}

const read = (held: HeldBody, bytes: number, isDeclared: boolean) =>
  readJsonBody(requestOf(bytes, isDeclared), createTask, held);

test.each([true, false])('bodies are held until their request is over (declared: %s)', async (isDeclared) => {
  const room = new BodyRoom(1_000_000);
  const [first, second, third] = [room.begin(), room.begin(), room.begin()];
  await read(first, LARGE, isDeclared);
  await read(second, LARGE, isDeclared);
  expect([first.bytes, second.bytes]).toEqual([LARGE, LARGE]);
  await expect(read(third, LARGE, isDeclared)).rejects.toMatchObject(REFUSED);
  third.end();
  first.end();
  await read(third, LARGE, isDeclared);
  third.end();
  second.end();
  expect(() => room.take(1_000_000)).not.toThrow();
  expect(() => room.take(1)).toThrow();
});

test('small bodies are taken however full it is: those who send large ones keep no claim out', async () => {
  const room = new BodyRoom(LARGE);
  const [large, small, other] = [room.begin(), room.begin(), room.begin()];
  await read(large, LARGE, true);
  await read(small, SMALL, true);
  expect(small.bytes).toBe(SMALL);
  await expect(read(other, SMALL + 1, false)).rejects.toMatchObject(REFUSED);
  for (const held of [large, small, other]) held.end();
  expect(() => room.take(LARGE)).not.toThrow();
});

test('a body that turns out too large, or breaks off, is held no longer than its request', async () => {
  const room = new BodyRoom(10_000_000);
  const held = room.begin();
  await expect(read(held, 1_100_000, false)).rejects.toMatchObject({ code: 'payload_too_large' });
  held.end();
  expect(() => room.take(10_000_000)).not.toThrow();
});

test('a length that is only declared takes nothing from others, but must be there to be had', async () => {
  const room = new BodyRoom(1_000_000);
  const idle = [1, 2, 3].map(() => {
    const incoming = Object.assign(new PassThrough(), {
      headers: { 'content-type': 'application/json', 'content-length': String(900_000) },
    }) as unknown as Parameters<typeof readJsonBody>[0];
    const held = room.begin();
    return { incoming, held, answer: readJsonBody(incoming, createTask, held) };
  });
  const [large, other] = [room.begin(), room.begin()];
  await read(large, LARGE, true);
  await expect(read(other, 700_000, true)).rejects.toMatchObject(REFUSED);
  for (const { incoming, answer } of idle) {
    incoming.destroy();
    await expect(answer).rejects.toMatchObject({ code: 'invalid_request' });
  }
  for (const { held } of [...idle, { held: large }, { held: other }]) held.end();
  expect(() => room.take(1_000_000)).not.toThrow();
});
