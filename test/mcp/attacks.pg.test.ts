/** /mcp as somebody meets it who means harm, or sends what no client would: by raw requests, because no client does. */
import { describe, expect, test } from 'vitest';
import { useBench } from '../fixtures/bench.ts';
import { type CallAnswer, type CallOptions, call } from '../fixtures/server.ts';
import { connectHttp } from './agent.ts';
import { makePlace } from './place.ts';

const bench = useBench();

const post = (token: string | null, options: CallOptions): Promise<CallAnswer> =>
  call(bench.server.url, 'POST', '/mcp', { token, ...options });

const tool = (name: string, input: unknown, id: unknown = 1) => ({
  jsonrpc: '2.0',
  id,
  method: 'tools/call',
  params: { name, arguments: input },
});

describe('a request that is none', () => {
  test('is refused before anything is done, and the server goes on', async () => {
    const { key } = await makePlace(bench);
    const before = await bench.footprint();
    const list = { jsonrpc: '2.0', id: 1, method: 'tools/list' };
    const refusals: [string, number, CallOptions][] = [
      ['a batch', 400, { body: [list, list] }],
      ['no JSON', 400, { rawBody: '{' }],
      ['another version', 400, { body: { ...list, jsonrpc: '1.0' } }],
      ['too large', 413, { body: { ...list, params: { x: 'x'.repeat(1_100_000) } } }],
      [
        'too deep',
        400,
        { rawBody: `{"jsonrpc":"2.0","id":1,"method":"x","params":${'['.repeat(200)}${']'.repeat(200)}}` },
      ],
      [
        'no JSON by its type',
        415,
        { rawBody: JSON.stringify(list), headers: { 'Content-Type': 'text/plain' } },
      ],
      ['a page of elsewhere', 403, { body: list, headers: { Origin: 'https://evil.test' } }],
      ['an origin that is none', 400, { body: list, headers: { 'Lanekeeper-Origin': 'e30.x' } }],
    ];
    for (const [what, status, options] of refusals)
      expect((await post(key, options)).status, what).toBe(status);
    expect((await post(null, { body: list })).status).toBe(401);
    for (const method of ['GET', 'DELETE'])
      expect((await call(bench.server.url, method, '/mcp', { token: key })).status, method).toBe(405);
    expect(await bench.footprint()).toEqual(before);
    expect((await post(key, { body: list })).body.result.tools.length).toBeGreaterThan(5);
  });

  test('by its method, its tool or its arguments is told so in few words, whatever its names are', async () => {
    const { key } = await makePlace(bench);
    for (const name of ['__proto__', 'constructor', 'toString', 'delegate', 'x'.repeat(500_000)]) {
      const { body } = await post(key, { body: tool(name, {}) });
      expect(body.error, name.slice(0, 20)).toMatchObject({ code: -32_602 });
      expect(JSON.stringify(body).length).toBeLessThan(1000);
    }
    for (const method of ['__proto__', 'resources/list', 'x'.repeat(500_000)]) {
      const { body } = await post(key, { body: { jsonrpc: '2.0', id: 1, method } });
      expect(body.error, method.slice(0, 20)).toMatchObject({ code: -32_601 });
      expect(JSON.stringify(body).length).toBeLessThan(1000);
    }
    const inputs = [
      '{"__proto__":{"worker":"x"}}',
      '{"constructor":{}}',
      '{"worker":"\\u0000"}',
      '{"worker":"\\ud800"}',
      '{"request_id":"a b"}',
      '{"request_id":"é"}',
      '{"lane":"other"}',
      '{"board":"other"}',
      `{"worker":"${'x'.repeat(500_000)}"}`,
      '[]',
      '"x"',
    ];
    for (const input of inputs) {
      const raw = `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"claim_task","arguments":${input}}}`;
      const { body } = await post(key, { rawBody: raw });
      const text = body.result?.content[0].text ?? JSON.stringify(body.error ?? body);
      expect(body.result?.isError ?? true, `${input.slice(0, 40)}: ${text}`).toBe(true);
      expect(text.length).toBeLessThan(2000);
    }
  });
});

describe('a key of a lane', () => {
  test('ends no run of another lane, not even under the name of its worker', async () => {
    const { board, key } = await makePlace(bench);
    await bench.makeLane(board, 'office');
    const task = await bench.makeTask(board, { lane: 'office' });
    const { run_id: run } = await bench.claim(board, 'office', { worker: 'w' });
    const agent = await connectHttp(bench.server.url, key);
    const before = await bench.footprint();
    for (const [name, input] of [
      ['heartbeat', {}],
      ['show_task', {}],
      ['inbox', {}],
      ['progress', { progress: 1 }],
      ['output', { lines: ['x'] }],
      ['comment', { body: 'x' }],
      ['complete_task', { summary: 'x' }],
      ['block_task', { reason: 'x' }],
      ['fail_task', { error: 'x' }],
      ['release_task', {}],
      ['request_changes', { reason: 'x' }],
    ] as const) {
      const refused = await agent.refusal(name, { ...input, run_id: run, worker: 'w' });
      expect(refused.code, name).toMatch(/^not_(found|your_claim)$/);
    }
    expect(await bench.footprint()).toEqual(before);
    expect((await bench.api.get(`/v1/boards/${board}/tasks/${task.id}`)).body.task.status).toBe('running');
  });

  test('is shown no token with its claim: what a model reads is no credential', async () => {
    const { board, key } = await makePlace(bench);
    await bench.makeTask(board, { lane: 'factory' });
    const agent = await connectHttp(bench.server.url, key);
    const claim = JSON.stringify(await agent.call('claim_task'));
    expect(claim).toContain('"claimed":true');
    expect(claim).not.toMatch(/eyJ|lk_lane_/);
  });
});
