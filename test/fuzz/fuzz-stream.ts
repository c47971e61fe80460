/**
 * One stream of made-up requests, one after the other, in a world of its own. Streams run side by side; what one of them sends depends
 * on its seed and on what it was answered, and on nothing that another does. So a failure is repeated by running its stream alone.
 */

import type { AnswerCheck } from './answer-check.ts';
import type { ApiDocument, Operation } from './api-document.ts';
import type { KnownNames } from './known-names.ts';
import { type Aim, aimAt } from './moves.ts';
import { Random } from './random.ts';
import { type MadeRequest, type Manner, RequestMaker } from './request-maker.ts';
import { asCurl, type HttpAnswer, type Sender } from './sender.ts';
import { type Ask, StreamWorld } from './stream-world.ts';
import { ValueMaker } from './value-maker.ts';

/** Accepted: 1xx and 2xx. Refused: 4xx. */
export interface Tally {
  accepted: number;
  refused: number;
}

export interface FuzzPlan {
  readonly url: string;
  readonly adminKey: string;
  readonly document: ApiDocument;
  readonly check: AnswerCheck;
  readonly sender: Sender;
  readonly seed: number;
  readonly reserved: Set<string>;
  readonly tallies: Map<string, Tally>;
  /** By what is wrong and with which operation: the first of each, as a text to repeat it by. */
  readonly failures: Map<string, string>;
}

/** Past so many kinds of failure the rest tells nothing new. */
const FAILURES_MAX = 40;
/** How often what requests stand on is put right again. */
const MEND_EVERY = 40;
/** Of requests whose operation has moves that bring it within reach: those are what goes deep, and cost two to four requests each. */
const AIMED_SHARE = { valid: 0.35, near: 0.15, hostile: 0.03 } as const;
/**
 * Of these a few tell as much as many: documents and figures of half a megabyte, boards with all they hold, and signing keys, which fill
 * the published set when they are rotated all the time.
 */
const SELDOM: Readonly<Record<string, number>> = {
  openapiDocument: 0.15,
  asyncapiDocument: 0.15,
  docsPage: 0.15,
  livez: 0.15,
  readyz: 0.3,
  jwks: 0.3,
  metrics: 0.3,
  deleteBoard: 0.7,
  rotateSigningKey: 0.3,
};

export class FuzzStream {
  readonly world: StreamWorld;
  readonly #plan: FuzzPlan;
  readonly #index: number;
  readonly #random: Random;
  #sent = 0;

  constructor(plan: FuzzPlan, index: number) {
    this.#plan = plan;
    this.#index = index;
    this.#random = new Random(plan.seed * 1009 + index);
    this.world = new StreamWorld(index, this.#ask, plan.adminKey, plan.reserved);
  }

  /** Ends early, and says so among the failures, when what its requests stand on cannot be put right. */
  async run(requests: number, foreign: KnownNames): Promise<void> {
    try {
      await this.#run(requests, foreign);
    } catch (error) {
      const said = error instanceof Error ? error.message : String(error);
      this.#plan.failures.set(
        `stream ${this.#index}`,
        `stream ${this.#index}, request ${this.#sent}: ${said}`,
      );
    }
  }

  async #run(requests: number, foreign: KnownNames): Promise<void> {
    const { document } = this.#plan;
    const { names } = this.world;
    const values = new ValueMaker({ root: document.root, random: this.#random, names, foreign });
    const maker = new RequestMaker(this.#random, values, this.world);
    while (this.#sent < requests && this.#plan.failures.size < FAILURES_MAX) {
      const operation = this.#random.pick(document.operations);
      if (this.#random.chance(1 - (SELDOM[operation.id] ?? 1))) continue;
      if (this.#sent % MEND_EVERY === 0) await this.world.mend();
      this.#sent += 1;
      await this.#try(maker, operation);
    }
  }

  async #try(maker: RequestMaker, operation: Operation): Promise<void> {
    if (this.#random.chance(0.02)) return this.#send(maker.elsewhere(operation));
    const manner = this.#manner();
    const aim = this.#random.chance(AIMED_SHARE[manner]) ? await this.#aim(operation) : null;
    return this.#send(maker.make(operation, manner, aim));
  }

  #manner(): Manner {
    const at = this.#random.next();
    if (at < 0.5) return 'valid';
    return at < 0.82 ? 'near' : 'hostile';
  }

  /** A pause or a cap that a request has just set may stand in the way: put right, and tried once more. */
  async #aim({ id }: Operation): Promise<Aim | null> {
    try {
      return await aimAt(id, this.world, this.#random);
    } catch {
      await this.world.mend();
      return aimAt(id, this.world, this.#random);
    }
  }

  async #send(made: MadeRequest): Promise<void> {
    const { sender, check, tallies } = this.#plan;
    let answer: HttpAnswer | null;
    try {
      answer = await sender.send(made);
    } catch (error) {
      this.#fail(made, `no answer: ${error instanceof Error ? error.message : error}`, null);
      return;
    }
    if (answer === null) return;
    const wrong = check.complaint(made.operationId, made, answer) ?? this.#wronglyAccepted(made, answer);
    if (wrong !== null) this.#fail(made, wrong, answer);
    if (made.operationId === null) return;
    const tally = tallies.get(made.operationId) ?? { accepted: 0, refused: 0 };
    tally[answer.status < 400 ? 'accepted' : 'refused'] += 1;
    tallies.set(made.operationId, tally);
    if (answer.status < 300 && answer.text.startsWith('{')) this.world.names.learn(JSON.parse(answer.text));
  }

  #wronglyAccepted(made: MadeRequest, answer: HttpAnswer): string | null {
    if (answer.status >= 300 || !('json' in made) || made.operationId === null) return null;
    return this.#plan.check.refusesBody(made.operationId, made.json)
      ? 'accepted a body that the document refuses'
      : null;
  }

  #fail(made: MadeRequest, wrong: string, answer: HttpAnswer | null): void {
    const { failures, seed, url } = this.#plan;
    const kind = `${made.operationId ?? 'elsewhere'}: ${wrong}`;
    if (failures.has(kind)) return;
    const heard = answer === null ? '' : `\n← ${answer.status} ${answer.text.slice(0, 600)}`;
    failures.set(
      kind,
      `${kind}\n  LANEKEEPER_FUZZ_SEED=${seed} LANEKEEPER_FUZZ_STREAM=${this.#index}, request ${this.#sent}\n${asCurl(url, made).slice(0, 6000)}${heard}`,
    );
  }

  /** A move's own request: held against the document like any other, and expected to succeed. */
  readonly #ask: Ask = async (method, path, body, token) => {
    const { sender, check, adminKey, document } = this.#plan;
    const operation = operationAt(document, method, path);
    const bytes = body === undefined ? null : Buffer.from(JSON.stringify(body));
    const headers = {
      Authorization: `Bearer ${token ?? adminKey}`,
      // Another address than the one whose failed authentications are used up by what is made up.
      'X-Forwarded-For': `192.0.2.${this.#index + 1}`,
      ...(bytes && { 'Content-Type': 'application/json' }),
    };
    const made: MadeRequest = { operationId: operation, method, target: path, headers, body: bytes };
    const answer = await sender.send(made);
    if (answer === null) throw new Error(`${method} ${path} was cut off`);
    const wrong = check.complaint(operation, made, answer);
    if (wrong !== null) this.#fail(made, wrong, answer);
    if (answer.status >= 400) throw new Error(`${method} ${path} → ${answer.status} ${answer.text}`);
    return answer.text === '' ? null : JSON.parse(answer.text);
  };
}

/** Of two that match, the one with fewer parameters in its path. */
function operationAt({ operations }: ApiDocument, method: string, path: string): string {
  const matching = operations.filter(
    (operation) => operation.method === method && operation.pattern.test(path),
  );
  const [best] = matching.sort((left, right) => left.path.split('{').length - right.path.split('{').length);
  if (best === undefined) throw new Error(`${method} ${path} is not in the document`);
  return best.id;
}
