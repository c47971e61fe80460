/** What people and orchestrators do with tasks that are there already, each recorded; and what they look up to know what to do. */
import type { OperatorOperation } from '../history.ts';
import type { Random } from '../random.ts';
import type { Recorder } from '../recorder.ts';
import { type Body, type CallAnswer, call, endOf } from './call.ts';
import type { PartyConfig } from './party-channel.ts';

export interface SeenTask {
  readonly id: string;
  readonly status: string;
}

export interface SeenLink {
  readonly parent: string;
  readonly child: string;
  readonly met: boolean;
}

const VERBS = {
  link: ['PUT', 'parents'],
  unlink: ['DELETE', 'parents'],
  finish: ['POST', 'complete'],
  reopen: ['POST', 'reopen'],
  archive: ['POST', 'archive'],
  accept: ['POST', 'accept'],
  send_back: ['POST', 'request-changes'],
} as const satisfies Record<OperatorOperation['kind'], readonly [string, string]>;

const BODIES: Partial<Readonly<Record<OperatorOperation['kind'], Body>>> = {
  finish: {},
  reopen: {},
  archive: {},
  accept: {},
  send_back: { reason: 'not like that' },
};

export interface Act {
  readonly kind: OperatorOperation['kind'];
  readonly taskId: string;
  readonly parentId?: string;
  /** A claim's token. Default: the orchestrators' key. */
  readonly key?: string;
}

export class Operator {
  readonly #config: PartyConfig;
  readonly #recorder: Recorder;
  readonly #random: Random;

  constructor(config: PartyConfig, recorder: Recorder, random: Random) {
    this.#config = config;
    this.#recorder = recorder;
    this.#random = random;
  }

  async act({ kind, taskId, parentId, key }: Act): Promise<CallAnswer> {
    const [method, verb] = VERBS[kind];
    const parent = parentId === undefined ? {} : { parentId };
    const end = this.#recorder.begin({ kind, taskId, ...parent });
    const answer = await this.ask(
      method,
      `/tasks/${taskId}/${verb}${parentId === undefined ? '' : `/${parentId}`}`,
      BODIES[kind],
      key,
    );
    end(endOf(answer));
    return answer;
  }

  /** Newest first. */
  async list(statuses: string, countMax: number): Promise<SeenTask[]> {
    const { body } = await this.ask('GET', `/tasks?status=${statuses}&limit=${countMax}&order=-created`);
    return (body as { tasks?: SeenTask[] }).tasks ?? [];
  }

  /** What a task waits for, and what has become of it. */
  async parentsOf(taskId: string): Promise<{ parent: SeenTask; isMet: boolean }[]> {
    const { body } = await this.ask('GET', `/tasks/${taskId}/graph`);
    const { nodes = [], edges = [] } = body as { nodes?: SeenTask[]; edges?: SeenLink[] };
    return edges
      .filter(({ child }) => child === taskId)
      .flatMap(({ parent: id, met: isMet }) => {
        const parent = nodes.find((node) => node.id === id);
        return parent === undefined ? [] : [{ parent, isMet }];
      });
  }

  ask(
    method: 'GET' | 'POST' | 'PUT' | 'DELETE',
    path: string,
    body?: Body,
    key?: string,
  ): Promise<CallAnswer> {
    return call({
      url: this.#random.pick(this.#config.urls),
      method,
      path: `/v1/boards/${this.#config.board}${path}`,
      key: key ?? this.#config.orchestratorKey,
      ...(body === undefined ? {} : { body }),
    });
  }
}
