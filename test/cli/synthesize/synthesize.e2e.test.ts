/** `lanekeeper synthesize` makes replies with a model, and an outcome never waits for one that cannot. */
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { Client } from '../../../src/client/client.ts';
import type { LeasedDelivery } from '../../../src/contract/deliveries.ts';
import { only } from '../../fixtures/eventually.ts';
import { type FakeModel, replyOf, startFakeModel } from '../../fixtures/fake-model.ts';
import { useServerProcess } from '../../fixtures/server-process.ts';
import { buildCli, type Cli, type CliRun, runCli, startCli } from '../fixtures/cli-process.ts';

/** Of no model: what of it turns up anywhere is a leak. */
const MODEL_KEY = 'sk-of-the-test-alone';

const server = useServerProcess();
let cli: Cli;
let client: Client;
let model: FakeModel;
let worker: CliRun;
beforeAll(async () => {
  cli = await buildCli();
  client = await server.connect();
  for (const lane of ['factory', 'synthesizer']) await client.lanes.register(lane);
  const line = 'board set default --synthesizer-lane synthesizer --synthesize-platforms telegram';
  expect(await runCli(cli, line.split(' '), local())).toMatchObject({ code: 0 });
});
afterAll(() => cli.remove());
beforeEach(async () => {
  model = await startFakeModel();
  worker = startCli(
    cli,
    ['synthesize', '--endpoint', `${model.endpoint}/`, '--model', 'small', '--json'],
    local({ LANEKEEPER_SYNTHESIZE_KEY: MODEL_KEY }),
  );
});
afterEach(async () => {
  worker.child.kill('SIGKILL');
  await worker.ended;
  await model.stop();
});

const local = (env: Record<string, string> = {}) => ({
  env: { LANEKEEPER_DATA_DIR: server.dataDir, ...env },
});

/** Done, and told on a platform for replies. */
async function outcome(session: string, summary: string): Promise<void> {
  const origin = { platform: 'telegram', chat_id: session, session_id: session };
  const { task } = await client.tasks.create({ title: 'Look into it', lane: 'factory', origin });
  await client.tasks.complete(task.id, { summary });
}

async function told(): Promise<LeasedDelivery> {
  const { deliveries } = await client.deliveries.claim({}, { waitSeconds: 30 });
  const delivery = only(deliveries);
  await client.deliveries.ack(delivery.id, { lease_id: delivery.lease_id });
  return delivery;
}

describe('a reply', () => {
  test('is what the model answers, and its key goes in the header Authorization alone', async () => {
    model.answer = () => replyOf('  The cache was the culprit. ');
    await outcome('replied', 'the cache was stale');
    expect(await told()).toMatchObject({
      mode: 'synthesize',
      text: 'The cache was the culprit.',
      is_fallback: false,
    });
    const request = only(model.requests);
    expect(request).toMatchObject({ path: 'POST /v1/chat/completions', body: { model: 'small' } });
    expect(request.body.messages.map(({ role }) => role)).toEqual(['system', 'user']);
    expect(request.body.messages[1]?.content).toContain('the cache was stale');
    const { authorization, ...others } = request.headers;
    expect(authorization).toBe(`Bearer ${MODEL_KEY}`);
    const seen = [request.text, JSON.stringify(others), worker.stdout(), worker.stderr(), server.output()];
    expect(seen.join('\n')).not.toContain(MODEL_KEY);
  });

  test('of a model that is down is the plain text', async () => {
    await model.stop();
    await outcome('down', 'the cache was stale');
    const delivery = await told();
    expect(delivery).toMatchObject({ mode: 'direct', is_fallback: true });
    expect(delivery.text).toContain('the cache was stale');
  });

  test('of a model that says nothing is the plain text', async () => {
    model.answer = () => replyOf(null);
    await outcome('silent', 'the cache was stale');
    expect(await told()).toMatchObject({ mode: 'direct', is_fallback: true });
  });

  test('of a model with too much to do is asked for again, within the time of a reply', async () => {
    const answers = [
      { status: 429, headers: { 'retry-after': '1' }, body: { error: { message: 'slow down' } } },
      replyOf('All good again.'),
    ];
    model.answer = () => answers.shift() ?? replyOf(null);
    await outcome('limited', 'the cache was stale');
    expect(await told()).toMatchObject({ text: 'All good again.', is_fallback: false });
    expect(model.requests).toHaveLength(2);
  });
});

test('an endpoint that is none is a usage error', async () => {
  const flags = ['synthesize', '--endpoint', 'ftp://models', '--model', 'small'];
  expect(await runCli(cli, flags, local())).toMatchObject({ code: 2 });
});
