/** The bridge beside a server of the test's own: what goes out, what comes back, and what is never said or done twice. */
import { describe, expect, test, vi } from 'vitest';
import { Bridge, LAST_ANSWERS_MS } from '../../../src/cli/mcp/bridge.ts';
import { instantTiming } from '../../client/fixtures/scripted-server.ts';

interface Seen {
  readonly headers: Headers;
  readonly body: string;
  readonly signal: AbortSignal;
}

type Respond = (seen: Seen, number: number) => Response | Promise<Response>;

const json = (value: unknown, status = 200, headers: Record<string, string> = {}): Response =>
  new Response(JSON.stringify(value), {
    status,
    headers: { 'content-type': 'application/json', ...headers },
  });

const events = (...messages: readonly object[]): Response =>
  new Response(`: kept alive\n\n${messages.map((each) => `data: ${JSON.stringify(each)}\n\n`).join('')}`, {
    headers: { 'content-type': 'text/event-stream' },
  });

const result = (id: unknown, value: object = {}) => ({ jsonrpc: '2.0', id, result: value });

/** As Node reports a connection that never came about, and one that broke. */
const refused = () =>
  new TypeError('fetch failed', { cause: Object.assign(new Error('refused'), { code: 'ECONNREFUSED' }) });
const broken = () =>
  new TypeError('fetch failed', { cause: Object.assign(new Error('reset'), { code: 'ECONNRESET' }) });

/** Lines that the test adds one by one; the bridge reads them until `end`. */
class Stdin implements AsyncIterable<string> {
  readonly #lines: string[] = [];
  #isEnded = false;
  #wake: () => void = () => undefined;

  say(message: object | string): void {
    this.#lines.push(typeof message === 'string' ? message : JSON.stringify({ jsonrpc: '2.0', ...message }));
    this.#wake();
  }

  end(): void {
    this.#isEnded = true;
    this.#wake();
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<string> {
    for (;;) {
      const line = this.#lines.shift();
      if (line !== undefined) yield line;
      else if (this.#isEnded) return;
      else {
        await new Promise<void>((resolve) => {
          this.#wake = resolve;
        });
      }
    }
  }
}

interface StartOptions {
  /** After the end of stdin: whether there is still time for what is under way. */
  readonly hasLastMoment?: boolean;
}

function start(respond: Respond, { hasLastMoment = true }: StartOptions = {}) {
  const seen: Seen[] = [];
  // biome-ignore lint/suspicious/noExplicitAny: tests read members of every shape of answer
  const said: any[] = [];
  const stdin = new Stdin();
  const timing = instantTiming();
  const wait = (ms: number): Promise<void> =>
    ms === LAST_ANSWERS_MS && hasLastMoment ? new Promise(() => undefined) : timing.wait(ms);
  const bridge = new Bridge({
    endpoint: {
      url: 'http://lanes.test/mcp',
      token: () => Promise.resolve('key'),
      headers: {},
      fetch: async (_url, init) => {
        const one = {
          headers: new Headers(init?.headers),
          body: String(init?.body),
          signal: init?.signal as AbortSignal,
        };
        seen.push(one);
        return respond(one, seen.length);
      },
    },
    timing: { ...timing, wait },
    write: async (message) => void said.push(message),
  });
  const ended = bridge.run(stdin);
  const finish = async () => {
    stdin.end();
    await ended;
    return said;
  };
  /** stdin ends only when so many messages have come. */
  const finishAfter = async (count: number) => {
    await vi.waitFor(() => expect(said).toHaveLength(count));
    return finish();
  };
  return { seen, said, stdin, finish, finishAfter, waits: timing.waits };
}

/** A fetch that is answered by nothing but its end. */
const never = ({ signal }: Seen): Promise<Response> =>
  new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason)));

const call = (id: number, name: string, more: object = {}) => ({
  id,
  method: 'tools/call',
  params: { name, arguments: {}, ...more },
});

describe('a request', () => {
  test('goes out as it came, with the key, and its answer comes back', async () => {
    const { seen, stdin, finish } = start(() => json(result(7, { tools: [] })));
    const line = '{"jsonrpc":"2.0", "id":7,"method":"tools/list","params":{"__proto__":{"x":1}}}';
    stdin.say(line);
    expect(await finish()).toEqual([result(7, { tools: [] })]);
    expect(
      seen.map(({ body, headers }) => [body, headers.get('authorization'), headers.get('accept')]),
    ).toEqual([[line, 'Bearer key', 'application/json, text/event-stream']]);
  });

  test('answered by a stream gets all that the stream says, in order', async () => {
    const progress = { jsonrpc: '2.0', method: 'notifications/progress', params: { progress: 1 } };
    const { stdin, finish } = start(() => events(progress, result(1)));
    stdin.say(call(1, 'claim_task'));
    expect(await finish()).toEqual([progress, result(1)]);
  });

  test('of a revision that names itself carries what the HTTP binding wants, and no value can add a header', async () => {
    const { seen, stdin, finish } = start(() => json(result(1)));
    const _meta = { 'io.modelcontextprotocol/protocolVersion': '2026-07-28' };
    stdin.say(call(1, 'list_tasks', { _meta }));
    stdin.say(call(2, 'a\r\nx-evil: 1', { _meta }));
    await finish();
    const headers = seen.map((each) =>
      ['mcp-protocol-version', 'mcp-method', 'mcp-name', 'x-evil'].map((name) => each.headers.get(name)),
    );
    const wrapped = `=?base64?${Buffer.from('a\r\nx-evil: 1').toString('base64')}?=`;
    expect(headers).toEqual([
      ['2026-07-28', 'tools/call', 'list_tasks', null],
      ['2026-07-28', 'tools/call', wrapped, null],
    ]);
  });

  test('after a handshake of an earlier revision names what was agreed on', async () => {
    const { seen, said, stdin, finish } = start(({ body }) =>
      json(result(JSON.parse(body).id, { protocolVersion: '2025-06-18' })),
    );
    stdin.say({ id: 1, method: 'initialize', params: {} });
    await vi.waitFor(() => expect(said).toHaveLength(1));
    stdin.say({ id: 2, method: 'ping' });
    await finish();
    expect(seen.map(({ headers }) => headers.get('mcp-protocol-version'))).toEqual([null, '2025-06-18']);
  });
});

describe('a message that is none', () => {
  test('is answered with an error that names no request, and nothing is sent', async () => {
    const { seen, stdin, finish } = start(() => json(result(1)));
    for (const line of ['{', '[{"jsonrpc":"2.0","id":1,"method":"ping"}]', '"x"', '{"id":4}'])
      stdin.say(line);
    const said = await finish();
    expect(said.map(({ id, error }) => [id, error.code])).toEqual([
      [null, -32_700],
      [null, -32_600],
      [null, -32_600],
      [4, -32_600],
    ]);
    expect(seen).toHaveLength(0);
  });
});

describe('a client that cancels', () => {
  test('ends the post, hears nothing more of it, and may use the id again', async () => {
    const { seen, said, stdin, finish } = start((one, number) =>
      number === 1 ? never(one) : json(result(1)),
    );
    stdin.say(call(1, 'claim_task'));
    await vi.waitFor(() => expect(seen).toHaveLength(1));
    stdin.say({ method: 'notifications/cancelled', params: { requestId: 1 } });
    await vi.waitFor(() => expect(seen[0]?.signal.aborted).toBe(true));
    await vi.waitFor(() => {
      if (!said.some(({ result: answer }) => answer)) stdin.say(call(1, 'show_task'));
      expect(said.some(({ result: answer }) => answer)).toBe(true);
    });
    expect((await finish()).filter(({ result: answer }) => answer)).toEqual([result(1)]);
  });
});

describe('the end of stdin', () => {
  test('lets what is under way be answered', async () => {
    const answers: ((response: Response) => void)[] = [];
    const { seen, stdin, finish } = start(() => new Promise((resolve) => answers.push(resolve)));
    stdin.say(call(1, 'show_task'));
    const said = finish();
    await vi.waitFor(() => expect(seen).toHaveLength(1));
    answers[0]?.(json(result(1)));
    expect(await said).toEqual([result(1)]);
  });

  test('ends what goes on for longer than a moment, and says so', async () => {
    const { seen, stdin, finish } = start(never, { hasLastMoment: false });
    stdin.say(call(1, 'claim_task'));
    const said = await finish();
    expect(said.map(({ id, error }) => [id, error.message])).toEqual([
      [1, expect.stringContaining('stdin ended')],
    ]);
    expect(seen[0]?.signal.aborted).toBe(true);
  });

  test('lets nothing be tried again: a script hears at once what went wrong', async () => {
    const { seen, stdin, finish } = start(() => {
      throw refused();
    });
    const said = finish();
    stdin.say(call(1, 'show_task'));
    expect((await said).map(({ error }) => error.data.code)).toEqual(['unreachable']);
    expect(seen).toHaveLength(1);
  });
});

describe('a server that is away', () => {
  test('is tried again also for what takes effect, because it saw nothing of it', async () => {
    const { seen, stdin, finishAfter, waits } = start((_, number) => {
      if (number < 3) throw refused();
      return json(result(1));
    });
    stdin.say(call(1, 'complete_task'));
    expect(await finishAfter(1)).toEqual([result(1)]);
    expect([seen.length, waits.length]).toEqual([3, 2]);
  });

  test('for long is an error that says what to do', async () => {
    const { stdin, finish } = start(() => {
      throw refused();
    });
    stdin.say(call(1, 'complete_task'));
    const [{ id, error }] = await finish();
    expect([id, error.code, error.data.code]).toEqual([1, -32_000, 'unreachable']);
    expect(error.message).toContain(
      'No answer from http://lanes.test/mcp: refused; the server did not see the request',
    );
  });
});

describe('a connection that breaks', () => {
  test('never makes a call happen twice that the server has not said may', async () => {
    const { seen, stdin, finishAfter } = start(() => {
      throw broken();
    });
    stdin.say(call(1, 'complete_task'));
    const [{ error }] = await finishAfter(1);
    expect(error.message).toContain('it may have taken effect');
    expect(seen).toHaveLength(1);
  });

  test('repeats what only reads, and tools of which the list says so', async () => {
    let calls = 0;
    const tools = [
      { name: 'list_tasks', annotations: { readOnlyHint: true } },
      { name: 'complete_task', annotations: { readOnlyHint: false } },
    ];
    const { said, stdin, finishAfter } = start(({ body }) => {
      const { id, method } = JSON.parse(body);
      if (method === 'tools/list') return json(result(id, { tools }));
      calls += 1;
      if (calls % 2 === 1) throw broken();
      return json(result(id));
    });
    stdin.say({ id: 1, method: 'tools/list' });
    await vi.waitFor(() => expect(said).toHaveLength(1));
    stdin.say(call(2, 'list_tasks'));
    await vi.waitFor(() => expect(said).toHaveLength(2));
    stdin.say({ id: 3, method: 'ping' });
    await vi.waitFor(() => expect(said).toHaveLength(3));
    stdin.say(call(4, 'complete_task'));
    const [, second, third, fourth] = await finishAfter(4);
    expect([second, third]).toEqual([result(2), result(3)]);
    expect(fourth.error.message).toContain('may have taken effect');
    expect(calls).toBe(5);
  });

  test('repeats a call that carries a request_id: the server gives the first answer again', async () => {
    const { seen, stdin, finishAfter } = start((_, number) => {
      if (number === 1) throw broken();
      return json(result(1));
    });
    stdin.say(call(1, 'claim_task', { arguments: { request_id: 'r1' } }));
    expect(await finishAfter(1)).toEqual([result(1)]);
    expect(seen).toHaveLength(2);
    expect(seen[1]?.body).toBe(seen[0]?.body);
  });

  test('in the middle of a stream is an error too: no request stays without its answer', async () => {
    const { stdin, finishAfter } = start(() => events({ jsonrpc: '2.0', method: 'notifications/progress' }));
    stdin.say(call(1, 'claim_task'));
    const [progress, { id, error }] = await finishAfter(2);
    expect(progress.method).toBe('notifications/progress');
    expect([id, error.message]).toEqual([1, expect.stringContaining('ended before the answer')]);
  });
});

describe('a refusal', () => {
  const problem = (status: number, code: string, headers: Record<string, string> = {}) =>
    json({ title: 'A title', detail: 'Some detail.', status, code }, status, headers);

  test('by the server becomes an error with its code and what to do', async () => {
    const { seen, stdin, finish } = start(() => problem(401, 'unauthenticated'));
    stdin.say({ id: 'a', method: 'tools/list' });
    const [{ id, error }] = await finish();
    expect([id, error.data]).toEqual([
      'a',
      { code: 'unauthenticated', status: 401, next: expect.stringContaining('LANEKEEPER_TOKEN') },
    ]);
    expect(seen).toHaveLength(1);
  });

  test('because of too many requests is waited out, as long as that takes seconds', async () => {
    const { stdin, finishAfter, waits } = start((_, number) =>
      number === 1 ? problem(429, 'rate_limited', { 'retry-after': '3' }) : json(result(1)),
    );
    stdin.say(call(1, 'complete_task'));
    expect(await finishAfter(1)).toEqual([result(1)]);
    expect(waits[0]).toBeGreaterThanOrEqual(3000);
  });

  test('in the words of the protocol is passed on under the id of the request', async () => {
    const { stdin, finish } = start(() =>
      json({ jsonrpc: '2.0', id: null, error: { code: -32_022, message: 'unsupported' } }, 400),
    );
    stdin.say({ id: 3, method: 'tools/list' });
    expect(await finish()).toEqual([
      { jsonrpc: '2.0', id: 3, error: { code: -32_022, message: 'unsupported' } },
    ]);
  });

  test('of a request too many, or of an id that is under way, comes from the bridge itself', async () => {
    const { seen, said, stdin, finish } = start(never, { hasLastMoment: false });
    for (let id = 1; id <= 33; id += 1) stdin.say(call(id, 'claim_task'));
    stdin.say(call(1, 'claim_task'));
    await vi.waitFor(() => expect(said.map(({ id }) => id)).toEqual([33, 1]));
    expect(seen).toHaveLength(32);
    await finish();
  });
});

test('notifications go out and are never answered, also when they fail', async () => {
  const { seen, stdin, finish } = start((_, number) => {
    if (number > 1) throw broken();
    return new Response(null, { status: 202 });
  });
  stdin.say({ method: 'notifications/initialized' });
  stdin.say({ method: 'notifications/initialized' });
  expect(await finish()).toEqual([]);
  expect(seen).toHaveLength(2);
});
