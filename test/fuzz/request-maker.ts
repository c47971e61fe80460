/** Requests to one operation of the document: valid ones, valid ones with something wrong, and hostile ones. */
import type { Node, Operation, Parameter } from './api-document.ts';
import { HeaderMaker } from './header-maker.ts';
import { HOSTILE_BODIES, HUGE_BODIES } from './hostile-values.ts';
import type { Aim } from './moves.ts';
import type { Random } from './random.ts';
import type { HttpRequest } from './sender.ts';
import type { Caller, Json, StreamWorld } from './stream-world.ts';
import type { ValueMaker } from './value-maker.ts';

export type Manner = 'valid' | 'near' | 'hostile';

export interface MadeRequest extends HttpRequest {
  /** null: an address or a method that the document does not have. */
  readonly operationId: string | null;
  /** The JSON that is sent, as it is meant: undefined where there is none, or where the bytes are no JSON of ours. */
  readonly json?: unknown;
}

/** Callers that may do most things, so that what is asked for decides. */
const ABLE = ['boardAdmin', 'boardAdmin', 'admin', 'orchestrator'] as const;
const READERS = [...ABLE, 'observer', 'lane', 'claim'] as const;
/** These take the right to every board, or make boards. */
const GLOBAL = new Set(['rotateSigningKey', 'putBoard', 'deleteBoard', 'listBoards']);

/** Nothing waits longer than this for somebody who is bound to wait. */
const PATIENCE_MS = 150;
const HUGE_SHARE = 0.004;

export class RequestMaker {
  readonly #random: Random;
  readonly #values: ValueMaker;
  readonly #world: StreamWorld;
  readonly #headers: HeaderMaker;

  constructor(random: Random, values: ValueMaker, world: StreamWorld) {
    this.#random = random;
    this.#values = values;
    this.#world = world;
    this.#headers = new HeaderMaker(random, world.names);
  }

  make(operation: Operation, manner: Manner, aim: Aim | null): MadeRequest {
    this.#values.isForeign = false;
    const params = this.#params(operation, manner, aim);
    const query = this.#query(operation, manner);
    const made = this.#body(operation, manner, aim);
    const caller = this.#caller(operation, manner, aim, params);
    const headers = this.#headers.make(operation, manner !== 'valid');
    if (made.bytes !== null) headers['Content-Type'] = 'application/json';
    if (caller.token !== null) headers['Authorization'] = `Bearer ${caller.token}`;
    return {
      operationId: operation.id,
      method: operation.method,
      target: pathOf(operation.path, params) + query,
      headers: { ...headers, ...made.headers },
      body: made.bytes,
      ...('json' in made && { json: made.json }),
      ...(mayWait(headers) && { leavesAfterMs: PATIENCE_MS }),
    };
  }

  /** Ways to ask that the document does not know: other methods, other addresses. */
  elsewhere(operation: Operation): MadeRequest {
    const { board } = this.#world;
    const path = pathOf(operation.path, this.#params(operation, 'valid', null));
    const targets = [`${path}/no/such/thing`, `/v2${path}`, `/v1/boards/${board}/nonsense`, '/v1', '/.env'];
    const [method, target] = this.#random.pick([
      ['GET', this.#random.pick(targets)] as const,
      [this.#random.pick(['TRACE', 'OPTIONS', 'PROPFIND', 'PURGE']), path] as const,
    ]);
    const headers = { Authorization: `Bearer ${this.#world.caller('boardAdmin').token}` };
    return { operationId: null, method, target, headers, body: null };
  }

  #params(operation: Operation, manner: Manner, aim: Aim | null): Record<string, string> {
    const params: Record<string, string> = {};
    for (const { name, schema } of operation.parameters.filter((parameter) => parameter.in === 'path')) {
      const own = name === 'board' && this.#random.chance(0.7) ? this.#world.board : null;
      params[name] = aim?.params?.[name] ?? own ?? String(this.#values.valid(schema, name));
    }
    const names = Object.keys(params);
    const isSpoiled = names.length > 0 && this.#random.chance(manner === 'hostile' ? 0.4 : 0.15);
    if (manner !== 'valid' && isSpoiled)
      params[this.#random.pick(names)] = asText(this.#values.hostile()).slice(0, 600) || '%20';
    const isRuinous = operation.method === 'DELETE' && /^delete(Board|Lane)$/.test(operation.id);
    if (isRuinous && this.#world.isStanding(params))
      params[operation.id === 'deleteBoard' ? 'board' : 'lane'] = 'nowhere';
    return params;
  }

  #query({ parameters }: Operation, manner: Manner): string {
    const random = this.#random;
    const pairs: [string, string][] = [];
    for (const { name, schema, required } of ofQuery(parameters)) {
      if (required || random.chance(0.25)) pairs.push([name, asText(this.#values.valid(schema, name))]);
    }
    if (manner !== 'valid' && random.chance(0.3)) {
      const known = ofQuery(parameters).map(({ name }) => name);
      const name = random.pick([...known, ...known, 'unknown', '', '__proto__', 'limit[]']);
      pairs.push([name, asText(this.#values.hostile()).slice(0, 3000)]);
    }
    if (pairs.length === 0) return '';
    return `?${pairs.map(([name, value]) => `${encode(name)}=${encode(value)}`).join('&')}`;
  }

  #body(operation: Operation, manner: Manner, aim: Aim | null): BodyBytes {
    const random = this.#random;
    const { body: schema } = operation;
    if (schema === null) {
      const isUncalledFor = manner === 'hostile' && operation.method !== 'GET' && random.chance(0.2);
      return { bytes: isUncalledFor ? Buffer.from('{"a":1}') : null, headers: {} };
    }
    if (!operation.isBodyRequired && random.chance(0.15)) return { bytes: null, headers: {} };
    if (manner === 'hostile' && random.chance(HUGE_SHARE)) return ofBytes(random.pick(HUGE_BODIES)());
    if (manner === 'hostile' && random.chance(0.45)) return ofBytes(random.pick(HOSTILE_BODIES)());
    const json = this.#json(schema, manner, aim);
    const text = JSON.stringify(json) ?? 'null';
    if (manner === 'hostile' && random.chance(0.2))
      return { bytes: Buffer.from(text), headers: this.#strangeType() };
    return { bytes: Buffer.from(text), headers: { 'Content-Type': 'application/json' }, json };
  }

  #json(schema: Node, manner: Manner, aim: Aim | null): unknown {
    const valid = this.#values.valid(schema, '');
    const aimed: unknown = isPlain(valid) ? withoutUndefined({ ...valid, ...aim?.body }) : valid;
    if (manner === 'valid') return aimed;
    if (manner === 'hostile') return this.#values.spoiled(this.#values.spoiled(aimed));
    return this.#random.chance(0.75) ? this.#values.spoiled(aimed) : aimed;
  }

  #strangeType(): Record<string, string> {
    const types = [
      '',
      'text/plain',
      'application/json;charset=utf-16',
      'application/JSON ; x=y',
      'application/x-www-form-urlencoded',
      'multipart/form-data; boundary=x',
      'application/json, text/html',
    ];
    const encodings: Record<string, string>[] = [
      {},
      {},
      { 'Content-Encoding': 'gzip' },
      { 'Content-Encoding': 'identity' },
    ];
    return { 'Content-Type': this.#random.pick(types), ...this.#random.pick(encodings) };
  }

  #caller(
    operation: Operation,
    manner: Manner,
    aim: Aim | null,
    params: Readonly<Record<string, string>>,
  ): Caller {
    const random = this.#random;
    // Where there is nothing else to get wrong, it is who asks.
    const isBare = operation.body === null && operation.parameters.length === 0;
    const oddShare = isBare ? 0.6 : 0.2;
    const anybody = manner === 'valid' ? 0.08 : oddShare;
    if (aim?.token !== undefined && !random.chance(anybody)) return { name: 'aimed', token: aim.token };
    const caller = random.chance(anybody) ? random.pick(this.#world.callers) : this.#usual(operation, params);
    // What an admin of every board changes elsewhere would change the ground of another stream.
    const isElsewhere = this.#values.isForeign && operation.method !== 'GET';
    return caller.name === 'admin' && isElsewhere ? this.#world.caller('boardAdmin') : caller;
  }

  #usual({ id, method, path }: Operation, { board }: Readonly<Record<string, string>>): Caller {
    const random = this.#random;
    const { callers } = this.#world;
    if (GLOBAL.has(id)) return this.#world.caller('admin');
    if (path.startsWith('/v1/runs/{run}/')) return this.#world.caller('claim');
    if (board === this.#world.second && random.chance(0.1)) return this.#world.caller('otherBoard');
    const name = random.pick<string>(method === 'GET' ? READERS : ABLE);
    return callers.find((caller) => caller.name === name) ?? this.#world.caller('boardAdmin');
  }
}

interface BodyBytes {
  readonly bytes: Buffer | null;
  readonly headers: Readonly<Record<string, string>>;
  readonly json?: unknown;
}

function ofBytes(bytes: Buffer): BodyBytes {
  return { bytes, headers: { 'Content-Type': 'application/json' } };
}

function ofQuery(parameters: readonly Parameter[]): readonly Parameter[] {
  return parameters.filter((parameter) => parameter.in === 'query');
}

function pathOf(template: string, params: Readonly<Record<string, string>>): string {
  return template.replaceAll(/\{(\w+)\}/g, (_, name: string) => encode(params[name] ?? ''));
}

/** Lone surrogates cannot be percent-encoded: they are written as the three bytes that a careless encoder makes of them. */
function encode(text: string): string {
  return [...text]
    .map((character) => (/^[\ud800-\udfff]$/.test(character) ? '%ED%A0%80' : encodeURIComponent(character)))
    .join('');
}

function asText(value: unknown): string {
  return typeof value === 'string' ? value : (JSON.stringify(value) ?? '');
}

function isPlain(value: unknown): value is Json {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function withoutUndefined(value: Json): Json {
  return Object.fromEntries(Object.entries(value).filter(([, entry]) => entry !== undefined));
}

function mayWait(headers: Readonly<Record<string, string>>): boolean {
  return /wait=[^0x]/.test(headers['Prefer'] ?? '');
}
