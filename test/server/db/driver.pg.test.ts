/** What is relied on of the driver where its releases fall short: scripts/driver-fix.mjs. */
import { readFile } from 'node:fs/promises';
import { connect, type Socket } from 'node:net';
import { fileURLToPath } from 'node:url';
import postgres from 'postgres';
import { expect, onTestFinished, test } from 'vitest';
import { fixDriver } from '../../../scripts/driver-fix.mjs';
import { useTestDatabase } from '../../fixtures/database.ts';

/** A pool of one connection, and the sockets that it has opened. */
async function poolOfOne(): Promise<{ sql: postgres.Sql; sockets: Socket[] }> {
  const { url } = await useTestDatabase();
  const { hostname, port } = new URL(url);
  const sockets: Socket[] = [];
  const sql = postgres(url, {
    max: 1,
    backoff: () => 0,
    // What hangs, hangs until the test fails.
    connect_timeout: 600,
    socket: () => {
      const socket = connect({ host: hostname, port: Number(port) });
      sockets.push(socket);
      return socket;
    },
  } as Parameters<typeof postgres>[1]);
  onTestFinished(() => sql.end({ timeout: 0 }));
  expect([...(await sql`SELECT 1 AS one`)]).toEqual([{ one: 1 }]);
  // A turn of the event loop closes what was destroyed at its very end, before what waits for the next one.
  await new Promise(setImmediate);
  return { sql, sockets };
}

test('a connection that closes between a query and its first byte is opened anew for the next one', async () => {
  const { sql, sockets } = await poolOfOne();
  sockets[0]?.destroy();
  const lost = sql`SELECT 2 AS two`.execute();
  await expect(lost).rejects.toMatchObject({ code: 'CONNECTION_CLOSED' });
  expect([...(await sql`SELECT 3 AS three`)]).toEqual([{ three: 3 }]);
  expect(sockets).toHaveLength(2);
});

test('a query that comes between the error of a socket and its end fails, and is never answered with nothing', async () => {
  const { sql, sockets } = await poolOfOne();
  const broken = new Promise((resolve) => sockets[0]?.once('error', resolve));
  sockets[0]?.destroy(Object.assign(new Error('reset'), { code: 'ECONNRESET' }));
  await broken;
  const lost = sql`SELECT 2 AS two`.execute();
  const end = await Promise.race([
    lost.then(
      (rows) => ({ rows: [...rows] }),
      (error: { code: string }) => error.code,
    ),
    sql`SELECT 3 AS three`.then((rows) => ({ overtakenBy: [...rows] })),
  ]);
  expect(end).toBe('CONNECTION_CLOSED');
  expect([...(await sql`SELECT 4 AS four`)]).toEqual([{ four: 4 }]);
});

test('an error in the middle of a result leaves no holes in the next one', async () => {
  const { sql } = await poolOfOne();
  const failing = sql`SELECT 1 / (3 - i) AS quotient FROM generate_series(1, 5) AS i`;
  await expect(failing).rejects.toMatchObject({ code: '22012' });
  expect([...(await sql`SELECT 2 AS two`)]).toEqual([{ two: 2 }]);
});

test('the driver is still the one that is mended, and a changed one is not mended blindly', async () => {
  const path = fileURLToPath(new URL('./connection.js', import.meta.resolve('postgres')));
  const code = await readFile(path, 'utf8');
  expect(() => fixDriver(code)).not.toThrow();
  expect(() => fixDriver(fixDriver(code).replaceAll('clearImmediate', 'forget'))).toThrow('was changed');
});
