/**
 * Two boards that must know nothing of each other, the names of a third that does not exist, and everybody who may call. Whatever stands
 * on a board carries the board's marker, so that one look at an answer tells whose data it holds.
 */
import * as jose from 'jose';
import type { Bench, HeldClaim } from '../fixtures/bench.ts';
import type { CallAnswer } from '../fixtures/server.ts';

export type PlaceName = 'own' | 'foreign' | 'missing';

/** Names to put into a path. Those of the foreign and of the missing place are equally long, so that answers can be compared byte by byte. */
export interface Place {
  readonly board: string;
  readonly lane: string;
  readonly task: string;
  /** The task once more, by its external_ref. */
  readonly ref: string;
  readonly run: string;
  readonly key: string;
  readonly operation: string;
  /** The task itself, which can be no parent of its own. */
  readonly parent: string;
  /** Made under the claim of the task; decided, so that nothing about it happens by itself. */
  readonly delegation: string;
  readonly subscription: string;
  /** Of the session; it failed once and waits. */
  readonly delivery: string;
  readonly session: string;
}

export const CALLERS = [
  'none',
  'garbage',
  'admin',
  'boardAdmin',
  'orchestrator',
  'observer',
  'ownLane',
  'otherLane',
  'foreignLane',
  'ownClaim',
  'otherClaim',
  'endedClaim',
  'expiredClaim',
  'foreignClaim',
] as const;
export type CallerName = (typeof CALLERS)[number];

/** What a caller is, in the words of the API's design. */
export interface Caller {
  readonly name: CallerName;
  readonly token: string | null;
  readonly role: 'admin' | 'orchestrator' | 'observer' | 'lane' | 'claim' | 'nobody';
  /** Boards it may see; null: all. */
  readonly boards: readonly string[] | null;
  readonly lane?: string;
  readonly task?: string;
  readonly run?: string;
  /** What its credential alone is answered with. */
  readonly refusal?: 'unauthenticated' | 'token_expired';
}

export interface World {
  readonly places: Readonly<Record<PlaceName, Place>>;
  readonly callers: Readonly<Record<CallerName, Caller>>;
  /** Signs with the server's own key: only what is changed can make it bad. */
  readonly sign: (claim: HeldClaim, changes: Readonly<Record<string, unknown>>) => Promise<string>;
  /** Of the run that has ended, and its task. */
  readonly ended: HeldClaim;
  readonly own: HeldClaim;
  readonly foreign: HeldClaim;
}

export const MARKERS = { own: 'marker-of-own-7f3a', foreign: 'marker-of-foreign-91c2' } as const;

const MISSING: Place = {
  board: 'missing',
  lane: 'lane-missing',
  task: 'task_01jcqk0v3te8sr3x6y9m2b4n5p',
  ref: 'nightly-missing',
  run: 'run_01jcqk0v3te8sr3x6y9m000000',
  key: 'key_01jcqk0v3te8sr3x6y9m2b4n5p',
  operation: 'op_01jcqk0v3te8sr3x6y9m2b4n5p',
  parent: 'nightly-missing',
  delegation: 'deleg_01jcqk0v3te8sr3x6y9m2b4n5p',
  subscription: 'sub_01jcqk0v3te8sr3x6y9m2b4n5p',
  delivery: 'dlv_01jcqk0v3te8sr3x6y9m2b4n5p',
  session: 'session-missing',
};

async function furnish(bench: Bench, name: 'own' | 'foreign'): Promise<[Place, HeldClaim]> {
  const marker = MARKERS[name];
  const lane = `lane-${name}`;
  await bench.api.put(`/v1/boards/${name}`, { title: marker, description: marker });
  for (const laneName of [lane, 'other'])
    await bench.makeLane(name, laneName, { lease_seconds: 3600, description: marker, labels: { marker } });
  const ref = `nightly-${name}`;
  await bench.makeTask(name, {
    title: marker,
    body: marker,
    lane,
    payload: { marker },
    labels: { marker },
    tenant: marker,
    external_ref: ref,
    idempotency_key: 'nightly',
  });
  const claim = await bench.claim(name, lane, { worker: `worker-${marker}` });
  const worker = bench.as(claim.token);
  await worker.post(`/v1/runs/${claim.run_id}/heartbeat`, { note: marker, checkpoint: { marker } });
  const path = `/v1/boards/${name}/tasks/${claim.task.id}/comments`;
  for (const body of [marker, `${marker} again`]) await worker.post(path, { body });
  for (const title of [`${marker} b`, `${marker} c`]) await bench.makeTask(name, { title });
  const { id: key } = await bench.makeKey({ role: 'observer', boards: [name], name: marker });
  const dryRun = { action: 'archive', ids: [ref], dry_run: true };
  const { body } = await bench.api.post(`/v1/boards/${name}/tasks/bulk`, dryRun);
  const operation = body.operation.id;
  const { id: task } = claim.task;
  const returns = {
    delegation: await delegate(bench, name, claim),
    ...(await furnishReturns(bench, name)),
  };
  return [
    { board: name, lane, task, ref, run: claim.run_id, key, operation, parent: ref, ...returns },
    claim,
  ];
}

type BoardName = keyof typeof MARKERS;

/** Two, one of them under the claim, with a child that has ended. */
async function delegate(bench: Bench, name: BoardName, claim: HeldClaim): Promise<string> {
  const marker = MARKERS[name];
  const path = `/v1/boards/${name}/delegations`;
  const task = { title: marker, goal: marker, context: marker, toolsets: [marker], model: marker };
  const body = { goal: marker, context: marker, tasks: [task] };
  const { delegation } = (await bench.as(claim.token).post(path, body)).body;
  const [child] = delegation.tasks;
  await bench.api.post(`/v1/boards/${name}/tasks/${child}/complete`, {
    summary: marker,
    result: { marker },
    metadata: { marker },
  });
  await bench.api.post(path, { ...body, origin: { ...originOf(name), platform: marker } });
  return delegation.id;
}

const originOf = (name: BoardName) => ({
  chat_id: MARKERS[name],
  thread_id: MARKERS[name],
  user_id: MARKERS[name],
  session_id: `session-${name}`,
  profile: MARKERS[name],
  context: MARKERS[name],
});

/** Outcomes on their way back to one session: two that have arrived, and one that could not be sent. */
async function furnishReturns(
  bench: Bench,
  name: BoardName,
): Promise<Pick<Place, 'subscription' | 'delivery' | 'session'>> {
  const marker = MARKERS[name];
  const origin = { ...originOf(name), platform: marker };
  for (let count = 0; count < 3; count += 1) {
    const { id } = await bench.makeTask(name, { title: marker, origin });
    await bench.api.post(`/v1/boards/${name}/tasks/${id}/complete`, { summary: marker });
  }
  const take = async () => {
    const { body } = await bench.api.post(`/v1/boards/${name}/deliveries/claims`);
    return body.deliveries[0];
  };
  for (let count = 0; count < 2; count += 1) {
    const { id, lease_id } = await take();
    await bench.api.post(`/v1/deliveries/${id}/ack`, { lease_id, message_id: marker });
  }
  const { id: delivery, lease_id, subscription } = await take();
  await bench.api.post(`/v1/deliveries/${delivery}/nack`, { lease_id, error: marker });
  return { subscription: subscription.id, delivery, session: origin.session_id };
}

export async function makeWorld(bench: Bench): Promise<World> {
  const [own, ownClaim] = await furnish(bench, 'own');
  const [foreign, foreignClaim] = await furnish(bench, 'foreign');
  const holdAnother = async (): Promise<HeldClaim> => {
    await bench.makeTask('own', { title: MARKERS.own, lane: 'other' });
    return bench.claim('own', 'other');
  };
  const ended = await holdAnother();
  await bench
    .as(ended.token)
    .post(`/v1/runs/${ended.run_id}/complete`, { summary: MARKERS.own, result: { marker: MARKERS.own } });
  const other = await holdAnother();
  const sign = await makeSign(bench);
  const secondsAgo = Math.floor(Date.now() / 1000) - 3600;
  const expired = await sign(ownClaim, { iat: secondsAgo, nbf: secondsAgo, exp: secondsAgo + 60 });
  const key = async (body: Record<string, unknown>): Promise<string> =>
    (await bench.makeKey({ boards: ['own'], ...body })).secret;
  const claimCaller = (claim: HeldClaim, board: string) =>
    ({
      token: claim.token,
      role: 'claim',
      boards: [board],
      lane: claim.task.lane,
      task: claim.task.id,
      run: claim.run_id,
    }) as const;
  const boards = ['own'];
  const list: Caller[] = [
    { name: 'none', token: null, role: 'nobody', boards: [], refusal: 'unauthenticated' },
    { name: 'garbage', token: 'garbage', role: 'nobody', boards: [], refusal: 'unauthenticated' },
    { name: 'admin', token: await key({ role: 'admin', boards: ['*'] }), role: 'admin', boards: null },
    { name: 'boardAdmin', token: await key({ role: 'admin' }), role: 'admin', boards },
    { name: 'orchestrator', token: await key({ role: 'orchestrator' }), role: 'orchestrator', boards },
    { name: 'observer', token: await key({ role: 'observer' }), role: 'observer', boards },
    {
      name: 'ownLane',
      token: await key({ role: 'lane', lane: own.lane }),
      role: 'lane',
      boards,
      lane: own.lane,
    },
    {
      name: 'otherLane',
      token: await key({ role: 'lane', lane: 'other' }),
      role: 'lane',
      boards,
      lane: 'other',
    },
    {
      name: 'foreignLane',
      token: await key({ role: 'lane', lane: foreign.lane, boards: ['foreign'] }),
      role: 'lane',
      boards: ['foreign'],
      lane: foreign.lane,
    },
    { name: 'ownClaim', ...claimCaller(ownClaim, 'own') },
    { name: 'otherClaim', ...claimCaller(other, 'own') },
    { name: 'endedClaim', ...claimCaller(ended, 'own') },
    { name: 'expiredClaim', ...claimCaller(ownClaim, 'own'), token: expired, refusal: 'token_expired' },
    { name: 'foreignClaim', ...claimCaller(foreignClaim, 'foreign') },
  ];
  return {
    places: { own, foreign, missing: MISSING },
    callers: Object.fromEntries(list.map((caller) => [caller.name, caller])) as Record<CallerName, Caller>,
    sign,
    ended,
    own: ownClaim,
    foreign: foreignClaim,
  };
}

async function makeSign(bench: Bench): Promise<World['sign']> {
  const [row] = await bench.database.sql`SELECT private_jwk FROM signing_keys`;
  const key = await jose.importJWK(JSON.parse(row?.['private_jwk']), 'EdDSA');
  return (claim, changes) =>
    new jose.SignJWT({ ...jose.decodeJwt(claim.token), ...changes })
      .setProtectedHeader({ ...jose.decodeProtectedHeader(claim.token), alg: 'EdDSA' })
      .sign(key);
}

/** What callers have done so far: their entries in every log, and what there is. Entries of the server's own, such as presence, come by themselves. */
export async function deedsIn({ database: { sql } }: Pick<Bench, 'database'>): Promise<unknown> {
  const [events, counts] = await Promise.all([
    sql`SELECT board_id, count(*) FROM events WHERE actor_type <> 'system' GROUP BY board_id ORDER BY board_id`,
    sql`SELECT (SELECT count(*) FROM boards) AS boards, (SELECT count(*) FROM lanes) AS lanes, (SELECT count(*) FROM tasks) AS tasks,
      (SELECT sum(version) FROM tasks) AS versions, (SELECT count(*) FROM comments) AS comments, (SELECT count(*) FROM runs) AS runs,
      (SELECT count(*) FROM messages) AS messages, (SELECT count(*) FROM output_lines) AS lines,
      (SELECT count(*) FROM api_keys WHERE revoked_at IS NULL) AS live_keys, (SELECT count(*) FROM signing_keys) AS signing_keys,
      (SELECT count(*) FROM delegations) AS delegations, (SELECT count(*) FROM subscriptions) AS subscriptions,
      (SELECT count(*) FROM session_messages) AS session_messages,
      (SELECT jsonb_agg(jsonb_build_array(id, status, attempt, failures, due_at) ORDER BY id) FROM deliveries) AS deliveries,
      (SELECT count(*) FROM idempotency_keys) AS answers`,
  ]);
  return { events: [...events], counts: [...counts] };
}

export function maySee(caller: Caller, place: Place): boolean {
  return caller.boards === null || caller.boards.includes(place.board);
}

/** These differ between any two answers, and say nothing: an id, and seconds that go by between the two. */
const VOLATILE_HEADERS = ['x-request-id', 'date', 'retry-after', 'ratelimit'];

/** All that a caller can see of an answer, with the names it asked for taken out. */
export function faceOf(answer: CallAnswer, place: Place): unknown {
  const headers = Object.fromEntries(answer.headers);
  for (const name of VOLATILE_HEADERS) delete headers[name];
  return { status: answer.status, headers, body: withoutNames(answer.body, place) };
}

export function withoutNames(body: unknown, place: Place): string {
  const text = JSON.stringify(body).replace(/urn:uuid:[0-9a-f-]{36}/g, 'urn:uuid:…');
  return Object.entries(place).reduce((rest, [name, value]) => rest.replaceAll(value, `<${name}>`), text);
}
