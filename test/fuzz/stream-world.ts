/**
 * The world of one stream: boards, lanes and callers of its own, and the steps that the moves (moves.ts) are made of. A lane for these is
 * kept out of the requests that are made up, so that no made-up pause or cap can stand in their way.
 */
import { KnownNames } from './known-names.ts';

export type Json = Record<string, unknown>;

/** Asks the server, checked like every other request; throws unless it was accepted. */
export type Ask = (method: string, path: string, body?: Json, token?: string) => Promise<Loose>;

// biome-ignore lint/suspicious/noExplicitAny: answers are read loosely here; their shape is checked against the document
type Loose = any;

export interface Caller {
  readonly name: string;
  readonly token: string | null;
}

const KEPT_LANE = 'kept';
export const KEPT_REVIEW_LANE = 'kept-review';
/** Long enough that no claim lapses while the fuzz runs. */
const LEASE_SECONDS = 3600;

export class StreamWorld {
  readonly board: string;
  readonly second: string;
  readonly names: KnownNames;
  readonly callers: Caller[] = [];
  readonly ask: Ask;
  readonly #adminKey: string;
  #made = 0;

  readonly #reserved: Set<string>;

  /** @param reserved Names that no stream may learn; shared by all of them, since an admin's lists show everything. */
  constructor(index: number, ask: Ask, adminKey: string, reserved: Set<string>) {
    this.board = `fuzz-${index}`;
    this.second = `fuzz-${index}-second`;
    this.names = new KnownNames(reserved);
    this.#reserved = reserved;
    this.ask = ask;
    this.#adminKey = adminKey;
  }

  async furnish(): Promise<void> {
    for (const lane of [KEPT_LANE, KEPT_REVIEW_LANE]) this.#reserved.add(lane);
    const { principal } = await this.ask('GET', '/v1/whoami');
    this.#reserved.add(principal.key.id);
    for (const board of [this.board, this.second]) {
      await this.ask('PUT', `/v1/boards/${board}`, { title: 'fuzz' });
      for (const lane of ['alpha', 'beta', KEPT_LANE, KEPT_REVIEW_LANE]) {
        await this.ask('PUT', `/v1/boards/${board}/lanes/${lane}`, { lease_seconds: LEASE_SECONDS });
      }
      this.names.add('BoardName', board);
    }
    for (const lane of ['alpha', 'beta']) this.names.add('LaneName', lane);
    const boards = [this.board, this.second];
    const keys: [string, Json][] = [
      ['boardAdmin', { role: 'admin', boards }],
      ['orchestrator', { role: 'orchestrator', boards }],
      ['owned', { role: 'orchestrator', boards, owner: 'gateway' }],
      ['observer', { role: 'observer', boards }],
      ['keptLane', { role: 'lane', boards: [this.board], lane: KEPT_LANE }],
      ['lane', { role: 'lane', boards: [this.board], lane: 'alpha' }],
      ['otherBoard', { role: 'admin', boards: [this.second] }],
    ];
    for (const [name, body] of keys) {
      const { key, secret } = await this.ask('POST', '/v1/keys', { name, ...body });
      this.#reserved.add(key.id);
      this.callers.push({ name, token: secret });
    }
    const { run, token } = await this.hold();
    this.callers.push(
      { name: 'admin', token: this.#adminKey },
      { name: 'claim', token },
      { name: 'nobody', token: null },
      { name: 'mistyped', token: 'lk_admin_nonsense' },
      { name: 'forged', token: `${token.slice(0, -6)}AAAAAA` },
    );
    this.names.add('RunId', run);
    this.names.add('token', token);
    for (let count = 0; count < 3; count += 1) await this.task({ labels: { team: 'core' }, lane: 'alpha' });
    await this.lease();
  }

  /** Undoes what requests have done to the ground that the others stand on. */
  async mend(): Promise<void> {
    await this.ask('PATCH', this.on(''), { settings: { paused: false, delegation_capacity: 100 } });
    const settings = {
      kind: 'persistent',
      spawn: null,
      claim_mode: 'pull-or-watch',
      allowed_status_mutations: 'own-claimed-only',
      max_concurrent_claims: null,
      lease_seconds: LEASE_SECONDS,
    };
    for (const lane of ['alpha', 'beta']) {
      await this.ask('PATCH', this.on(`/lanes/${lane}`), settings);
      await this.ask('POST', this.on(`/lanes/${lane}/resume`));
    }
  }

  caller(name: string): Caller {
    const found = this.callers.find((caller) => caller.name === name);
    if (found === undefined) throw new Error(`no caller is called ${name}`);
    return found;
  }

  /** Whether requests of every stream stand on it, so that no admin may delete it. */
  isStanding(params: Readonly<Record<string, string>>): boolean {
    const lanes = ['alpha', 'beta', KEPT_LANE, KEPT_REVIEW_LANE];
    const { board = '', lane } = params;
    return lane === undefined ? /^(default|fuzz-\d+(-second)?)$/.test(board) : lanes.includes(lane);
  }

  // The moves' steps.

  on(rest: string): string {
    return `/v1/boards/${this.board}${rest}`;
  }

  next(prefix: string): string {
    this.#made += 1;
    return `${prefix}-${this.#made}`;
  }

  async task(body: Json = {}): Promise<string> {
    const { task } = await this.ask('POST', this.on('/tasks'), { title: 'aimed at', ...body });
    this.names.add('TaskId', task.id);
    return task.id;
  }

  async hold(): Promise<{ run: string; token: string; task: string }> {
    const task = await this.task({ lane: KEPT_LANE });
    return { task, ...(await this.claim(KEPT_LANE, task)) };
  }

  async claim(lane: string, task: string): Promise<{ run: string; token: string }> {
    const claim = async () => {
      const { claims } = await this.ask('POST', this.on(`/lanes/${lane}/claims`), { task_id: task });
      return claims[0];
    };
    const held = (await claim()) ?? (await this.mend().then(claim));
    if (held === undefined) throw new Error(`${task} could not be claimed for ${lane}`);
    return { run: held.run_id, token: held.token };
  }

  async reviewed(reviewer?: string): Promise<string> {
    const { run, token, task } = await this.hold();
    const body = { review: true, ...(reviewer === undefined ? {} : { reviewer }) };
    await this.ask('POST', `/v1/runs/${run}/complete`, body, token);
    return task;
  }

  async subscription(): Promise<string> {
    const body = { task_id: await this.task(), platform: 'chat', chat_id: this.next('room') };
    const { subscription } = await this.ask('PUT', this.on('/subscriptions'), body);
    return subscription.id;
  }

  /** An outcome that a gateway has taken and not yet answered for. */
  async lease(): Promise<{ delivery: string; lease_id: string }> {
    const session = this.next('session');
    const origin = { platform: 'chat', chat_id: session, session_id: session };
    const owner = 'fuzz-gateway';
    const subscribe = { platform: 'chat', chat_id: session, owner, mode: 'direct' };
    const task = await this.task({ origin, subscribe });
    await this.ask('POST', this.on(`/tasks/${task}/complete`), { summary: 'done' });
    const { deliveries } = await this.ask('POST', this.on('/deliveries/claims'), { owner, max: 1 });
    const [leased] = deliveries;
    if (leased === undefined) throw new Error('nothing was to be delivered');
    this.names.add('session_id', session);
    return { delivery: leased.id, lease_id: leased.lease_id };
  }

  async delegation(): Promise<string> {
    const body = {
      goal: 'aimed at',
      capacity_key: this.next('capacity'),
      tasks: [{ title: 'one', lane: 'alpha' }],
    };
    const { delegation } = await this.ask('POST', this.on('/delegations'), body);
    return delegation.id;
  }

  async code(): Promise<string> {
    const body = { role: 'observer', boards: [this.board] };
    return (await this.ask('POST', '/v1/sign-in-codes', body)).code;
  }
}
