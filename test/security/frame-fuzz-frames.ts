/** Frames as an attacker, a bug or a newer client would send them: right ones, nearly right ones, and bytes that are no frame at all. */
import fc from 'fast-check';
import { frameBytes, OPCODES } from '../fixtures/raw-socket.ts';

/** What the frames may name. */
export interface FuzzWorld {
  /** Held by the claim token that one of the principals is. */
  readonly runId: string;
  readonly taskId: string;
  readonly cursor: string;
}

export interface FuzzFrame {
  readonly what: 'right' | 'nearly right' | 'text' | 'bytes';
  /** True: it has the id that it is given, and is answered under it. */
  readonly isAnswered: boolean;
  wire(id: string): Buffer;
}

/** Put in when it is sent: also as the name of a worker, which would otherwise take the place of another socket's. */
const ID = '@id';
const NOWHERE = 'run_01jcqk0v3te8sr3x6y9m2b4n5p';

/** Found out about by somebody, some day. */
const HOSTILE: readonly unknown[] = [
  null,
  true,
  -1,
  0.1,
  2 ** 31,
  2 ** 53,
  1e308,
  '',
  ' ',
  "' OR 1=1 --",
  '\u0000',
  '\ud800',
  '\u202e\u2028\ufeff\uffff',
  'i\u0307'.repeat(50),
  '__proto__',
  'constructor',
  'x'.repeat(5000),
  '9999-12-31T23:59:59.999999999-15:59',
  [],
  [[[[]]]],
  {},
  { toString: null, valueOf: 1, hasOwnProperty: 1, length: -1 },
  { constructor: { prototype: { polluted: true } } },
];
const value = fc.oneof(fc.constantFrom(...HOSTILE), fc.jsonValue({ maxDepth: 3 }), fc.double());

/** Every type of frame with every field there is, each of which may be left out unless it is needed. */
function rightFrames({ runId, taskId, cursor }: FuzzWorld): fc.Arbitrary<Record<string, unknown>> {
  const lane = fc.constantFrom('work', 'pushed', 'nowhere');
  const text = fc.constantFrom('a', 'some text', '\u00fc\u{1f600}');
  const json = fc.jsonValue({ maxDepth: 2 });
  const metadata = fc.dictionary(fc.string({ minLength: 1, maxLength: 10 }), json, { maxKeys: 3 });
  const token = fc.constantFrom('x', 'eyJhbGciOiJub25lIn0.eyJzdWIiOiJ4In0.', 'lk_admin_1234567890');
  const seconds = fc.constantFrom(0, 1, 30, 86_400);
  const frame = (type: string, needed: Fields, others: Fields = {}) => {
    const always: Fields = {
      type: fc.constant(type),
      // The one type that has none.
      ...(type === 'claim_ack' ? {} : { id: fc.constant(ID) }),
      ...needed,
    };
    return fc.record({ ...always, ...others }, { requiredKeys: Object.keys(always) });
  };
  const any = { run_id: fc.constantFrom(runId, NOWHERE) };
  // Of a run that is held by nobody here: nothing of this may be written to the log.
  const foreign = { run_id: fc.constant(NOWHERE) };
  const filter = (words: fc.Arbitrary<string>) => fc.uniqueArray(words, { minLength: 1, maxLength: 3 });
  return fc.oneof(
    frame(
      'watch',
      {},
      {
        after: fc.constantFrom('start', 'now', cursor, 'bm90IGEgY3Vyc29y', null),
        lanes: filter(lane),
        tasks: filter(fc.constant(taskId)),
        kinds: filter(fc.constantFrom('task.*', 'task.created', 'lane.registered', 'task.exploded')),
        output: fc.boolean(),
      },
    ),
    frame('unwatch', {}),
    frame(
      'hello',
      { lane, worker: fc.constant(ID) },
      { version: text, tokens: fc.boolean(), crash_on_disconnect: fc.boolean() },
    ),
    frame('credit', { lane, credits: fc.constantFrom(0, 1, 1000, 2 ** 31) }),
    frame('claim_ack', any),
    frame('heartbeat', any, {
      token,
      note: text,
      progress: json,
      checkpoint: json,
      metadata,
      lease_seconds: seconds,
    }),
    frame('output', { ...any, lines: fc.array(text, { minLength: 1, maxLength: 3 }) }, { token }),
    frame('ack', { ...any, ids: fc.constant(['msg_01jcqk0v3te8sr3x6y9m2b4n5p']) }, { token }),
    frame('complete', foreign, { token, summary: text, result: json, metadata }),
    frame('block', { ...foreign, reason: text }, { token, kind: fc.constant('needs_input'), metadata }),
    frame('release', foreign, { token, reason: text, delay_seconds: seconds }),
    frame(
      'fail',
      { ...foreign, error: text },
      { token, kind: fc.constant('error'), permanent: fc.boolean() },
    ),
  );
}

type Fields = Readonly<Record<string, fc.Arbitrary<unknown>>>;

/** Ends of the run that is held would be right but for the field that none of them has. */
function nearlyRightFrames(world: FuzzWorld): fc.Arbitrary<Record<string, unknown>> {
  const changed = rightFrames(world).chain((frame) =>
    fc
      .dictionary(fc.constantFrom(...Object.keys(frame), 'unknown', 'id'), value, { minKeys: 1, maxKeys: 2 })
      .map((changes) => ({ ...frame, ...changes })),
  );
  const cut = rightFrames(world).chain((frame) =>
    fc.constantFrom(...Object.keys(frame)).map((name) => {
      const { [name]: _, ...rest } = frame;
      return rest;
    }),
  );
  const end = fc.constantFrom('complete', 'block', 'release', 'fail').map((type) => ({
    type,
    id: ID,
    run_id: world.runId,
    ...(type === 'block' ? { reason: 'r' } : {}),
    ...(type === 'fail' ? { error: 'e' } : {}),
    surprise: 1,
  }));
  return fc.oneof(
    { weight: 5, arbitrary: changed },
    { weight: 2, arbitrary: cut },
    { weight: 1, arbitrary: end },
  );
}

/** Text that is JSON only at first sight, or more of it than anybody needs. */
function texts(world: FuzzWorld): fc.Arbitrary<string> {
  const right = rightFrames(world).map((frame) => JSON.stringify(frame));
  const inserted = (text: string) => right.map((json) => `{${text},${json.slice(1)}`);
  const deep = (levels: number) =>
    `{"type":"watch","id":"${ID}","after":${'['.repeat(levels)}${']'.repeat(levels)}}`;
  return fc.oneof(
    inserted('"__proto__":{"polluted":true}'),
    inserted('"constructor":{"prototype":{"polluted":true}}'),
    inserted('"type":"complete","type":"watch"'),
    right.chain((json) => fc.nat(json.length).map((at) => json.slice(0, at))),
    right.map((json) => `\ufeff${json}`),
    right.map((json) => `${json}${json}`),
    fc.constantFrom('', 'null', '[]', '[{}]', '"watch"', '0', '{}', 'NaN', deep(99), deep(101), deep(20_000)),
    fc.jsonValue().map((json) => JSON.stringify(json)),
    fc.string({ unit: 'binary', maxLength: 60 }),
  );
}

/** No message at all, or none that may be sent. */
const bytes: fc.Arbitrary<readonly Buffer[]> = fc.oneof(
  fc.uint8Array({ minLength: 1, maxLength: 40 }).map((array) => [Buffer.from(array)]),
  fc.uint8Array({ maxLength: 40 }).map((array) => [frameBytes(OPCODES.text, Buffer.from(array))]),
  fc
    .record({
      opcode: fc.nat(15),
      reserved: fc.nat(7),
      isLast: fc.boolean(),
      isMasked: fc.boolean(),
      isLengthLong: fc.boolean(),
      payload: fc.uint8Array({ maxLength: 130 }),
    })
    .map(({ opcode, payload, ...options }) => [frameBytes(opcode, Buffer.from(payload), options)]),
  fc
    .constantFrom(0xffff_ffff, 2 ** 62, 1024 * 1024 + 1)
    .map((declaredBytes) => [frameBytes(OPCODES.text, 'x', { declaredBytes, isLengthLong: true })]),
  fc
    .nat(60)
    .map((count) =>
      Array.from({ length: count + 1 }, (_, index) => frameBytes(index === 0 ? 1 : 0, '', { isLast: false })),
    ),
);

function ofText(what: FuzzFrame['what'], text: string): FuzzFrame {
  return {
    what,
    isAnswered: what !== 'text' && text.includes(`"id":"${ID}"`) && !text.startsWith('{"type":"claim_ack"'),
    wire: (id) => frameBytes(OPCODES.text, text.replaceAll(ID, id)),
  };
}

export function fuzzFrames(world: FuzzWorld): fc.Arbitrary<FuzzFrame> {
  return fc.oneof(
    { weight: 8, arbitrary: rightFrames(world).map((frame) => ofText('right', JSON.stringify(frame))) },
    { weight: 10, arbitrary: nearlyRightFrames(world).map((f) => ofText('nearly right', JSON.stringify(f))) },
    { weight: 3, arbitrary: texts(world).map((text) => ofText('text', text)) },
    {
      weight: 3,
      arbitrary: bytes.map(
        (parts): FuzzFrame => ({ what: 'bytes', isAnswered: false, wire: () => Buffer.concat(parts) }),
      ),
    },
  );
}
