/** The server delivers to webhooks itself: signed, under one id, never to where it must not go. */
import { createServer, type IncomingMessage, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Webhook } from 'standardwebhooks';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { endClaim, expectStatus, makeBoard, type TestBoard } from '../../../fixtures/board.ts';
import { createTestDatabase, type TestDatabase } from '../../../fixtures/database.ts';
import { eventually } from '../../../fixtures/eventually.ts';
import { startTestServer, type TestServer } from '../../../fixtures/server.ts';

interface Received {
  readonly headers: IncomingMessage['headers'];
  readonly body: string;
}

const received: Received[] = [];
let answers: number[] = [];
let receiver: Server;
let database: TestDatabase;
let server: TestServer;
let url: string;
/** Takes a connection and never answers. */
let tarpit: Server;
let tarpitUrl: string;

beforeAll(async () => {
  receiver = createServer(async (request, response) => {
    let body = '';
    for await (const chunk of request) body += chunk;
    received.push({ headers: request.headers, body });
    const status = answers.shift() ?? 204;
    response.writeHead(status, status === 302 ? { location: url } : {}).end();
  });
  await new Promise<void>((resolve) => receiver.listen(0, '127.0.0.1', resolve));
  const host = `127.0.0.1:${(receiver.address() as AddressInfo).port}`;
  url = `http://${host}/hook`;
  database = await createTestDatabase();
  tarpit = createServer(() => undefined);
  await new Promise<void>((resolve) => tarpit.listen(0, '127.0.0.1', resolve));
  const slowHost = `127.0.0.1:${(tarpit.address() as AddressInfo).port}`;
  tarpitUrl = `http://${slowHost}/hook`;
  server = await startTestServer(database.url, {
    webhookHosts: [host, slowHost],
    secret: 'a secret of the test',
  });
});

afterAll(async () => {
  await server.stop();
  await database.drop();
  receiver.close();
  tarpit.closeAllConnections();
  tarpit.close();
});

async function newBoard(): Promise<TestBoard> {
  received.length = 0;
  answers = [];
  const board = await makeBoard(server);
  await board.lane('work');
  return board;
}

const hook = async (board: TestBoard, task: string, webhook: object) =>
  board.call('PUT', '/subscriptions', { body: { task_id: task, platform: 'hook', webhook } });

async function finish(board: TestBoard, task: string): Promise<void> {
  const claim = expectStatus(await board.claims('work', { task_id: task }), 200).body.claims[0];
  expectStatus(await endClaim(board.server, claim, 'complete', { summary: 'it was the cache' }), 200);
}

const arrivals = (count: number) =>
  eventually(`${count} posts`, async () => (received.length >= count ? received.slice(0, count) : null));

const statuses = async (board: TestBoard): Promise<string[]> =>
  expectStatus(await board.call('GET', '/deliveries'), 200).body.deliveries.map(
    ({ status }: { status: string }) => status,
  );

const verify = (secret: string, { headers, body }: Received) =>
  new Webhook(secret).verify(body, headers as Record<string, string>) as {
    readonly type: string;
    readonly data: { readonly id: string; readonly text: string };
  };

describe('a webhook', () => {
  test('is posted to, signed with the secret that the server has made, and acked by its answer', async () => {
    const board = await newBoard();
    const task = await board.task('work', { title: 'Fix the build' });
    const { webhook } = expectStatus(await hook(board, task.id, { url }), 201).body.subscription;
    expect(webhook.secret).toMatch(/^whsec_/);
    await finish(board, task.id);
    const [post] = await arrivals(1);
    const message = verify(webhook.secret, post as Received);
    expect(message).toMatchObject({ type: 'task.completed', data: { mode: 'direct' } });
    expect(message.data.text).toContain('it was the cache');
    expect(post?.headers['webhook-id']).toBe(message.data.id);
    expect(post?.body).not.toContain('lease_id');
    await eventually('it is acked', async () => ((await statuses(board)).includes('acked') ? true : null));
    const again = expectStatus(await hook(board, task.id, { url }), 200).body.subscription.webhook;
    expect(again).toEqual({ url });
  });

  test('is posted to while what is due on another board cannot be taken', async () => {
    const stuck = await newBoard();
    const board = await newBoard();
    const { sql } = database;
    const [row] = await sql<{ id: number }[]>`SELECT id FROM boards WHERE name = ${stuck.name}`;
    await sql.begin(async (tx) => {
      await tx`SELECT pg_advisory_xact_lock(hashtextextended('deliveries', ${row?.id ?? 0}))`;
      for (const one of [stuck, board]) {
        const task = await one.task('work');
        expectStatus(await hook(one, task.id, { url }), 201);
        await finish(one, task.id);
      }
      await arrivals(1);
      expect(await statuses(stuck)).toEqual(['pending']);
    });
    await arrivals(2);
  });

  test('that is given a new secret is signed with both for a while', async () => {
    const board = await newBoard();
    const task = await board.task('work');
    const secrets = [
      'MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=',
      'YWJjZGVmZ2hpamtsbW5vcHFyc3R1dnd4eXphYmNkZWY=',
    ];
    for (const secret of secrets)
      expectStatus(await hook(board, task.id, { url, secret: `whsec_${secret}` }), 200, 201);
    await finish(board, task.id);
    const [post] = await arrivals(1);
    for (const secret of secrets) verify(`whsec_${secret}`, post as Received);
    expect(() => verify(`whsec_${Buffer.alloc(32, 7).toString('base64')}`, post as Received)).toThrow();
  });

  test('that fails is tried again under the same id; one that is gone is dead; no redirect is followed', async () => {
    const board = await newBoard();
    const tasks = await board.tasks('work', 3);
    answers = [500, 410, 302];
    for (const task of tasks) {
      expectStatus(await hook(board, task.id, { url }), 201);
      await finish(board, task.id);
      await arrivals(tasks.indexOf(task) + 1);
    }
    const found = await eventually('all are decided', async () => {
      const known = await statuses(board);
      return known.includes('leased') ? null : known;
    });
    expect(found.toSorted()).toEqual(['dead', 'pending', 'pending']);
    expect(received).toHaveLength(3);
    const { deliveries } = expectStatus(await board.call('GET', '/deliveries?status=pending'), 200).body;
    const first = deliveries.at(-1).id;
    expectStatus(await board.server.call('POST', `/v1/deliveries/${first}/retry`), 200);
    const posts = await arrivals(4);
    expect(posts[3]?.headers['webhook-id']).toBe(posts[0]?.headers['webhook-id']);
    expect(posts[3]?.headers['webhook-id']).toBe(first);
  });

  test('of a host that does not answer stands before no other one of its board, and is neither tried nor put off meanwhile', async () => {
    const board = await newBoard();
    const slow = await board.task('work');
    expectStatus(await hook(board, slow.id, { url: tarpitUrl }), 201);
    const { sql } = database;
    await finish(board, slow.id);
    await sql`
      WITH copies AS MATERIALIZED (
        SELECT d.*, s.webhook_url, s.webhook_secret, gen_random_uuid() AS copy_id, number
        FROM deliveries d JOIN subscriptions s ON s.id = d.subscription_id, generate_series(1, 2000) AS number WHERE d.webhook_host = ${new URL(tarpitUrl).host}
      ),
      followed AS (
        INSERT INTO subscriptions (board_id, id, subject_id, is_delegation, platform, mode, wake, cursor_seq, created_by_type, created_by_id,
          webhook_url, webhook_secret)
        SELECT board_id, copy_id, copy_id, false, platform, mode, wake, 0, 'system', 'test', webhook_url, webhook_secret FROM copies
      )
      INSERT INTO deliveries (board_id, id, subscription_id, seq, kind, task_id, mode, wake, status, owner, platform, session_key, is_webhook,
        webhook_host, due_at)
      SELECT board_id, gen_random_uuid(), copy_id, seq, kind, task_id, mode, wake, 'pending', owner, platform, 'p' || number, true, webhook_host,
        due_at - interval '1 hour'
      FROM copies`;
    const last = await board.task('work');
    // Another target: it is of no session that has one out.
    const body = { task_id: last.id, platform: 'hook', chat_id: 'another', webhook: { url } };
    expectStatus(await board.call('PUT', '/subscriptions', { body }), 201);
    await finish(board, last.id);
    const startedAt = performance.now();
    await arrivals(1);
    expect(performance.now() - startedAt).toBeLessThan(4000);
    const [found] = await sql<{ tried: number }[]>`
      SELECT count(*)::int AS tried FROM deliveries WHERE webhook_host = ${new URL(tarpitUrl).host} AND (attempt > 0 OR last_error IS NOT NULL)`;
    // As many as it has room for; some more, if those have been given up by now.
    expect(found?.tried).toBeLessThanOrEqual(60);
  });

  test('is refused where it would lead into the own network, in whatever way that is written', async () => {
    const board = await newBoard();
    const task = await board.task('work');
    const hidden = [
      'http://example.com/hook',
      'https://127.0.0.1/hook',
      'https://[::1]/hook',
      'https://[::ffff:10.0.0.1]/hook',
      'https://169.254.169.254/latest',
      'https://2130706433/hook',
      'https://example.com:22/hook',
      'https://user:word@example.com/hook',
      'ftp://example.com/hook',
    ];
    for (const address of hidden)
      expect([address, (await hook(board, task.id, { url: address })).status]).toEqual([address, 400]);
    // A name says nothing until it is resolved: this one is refused where it is connected to.
    expectStatus(await hook(board, task.id, { url: 'https://localhost/hook' }), 201);
    await finish(board, task.id);
    const { deliveries } = await eventually('it is refused', async () => {
      const { body } = expectStatus(await board.call('GET', '/deliveries?status=dead'), 200);
      return body.deliveries.length > 0 ? body : null;
    });
    expect(deliveries[0].last_error).toContain('public addresses');
  });
});
