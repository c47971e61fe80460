/** Carries the plan of faults out, and writes down what was really done, and when it was over. */
import { setTimeout as delay } from 'node:timers/promises';
import type { Cluster } from './cluster.ts';
import { waitUntil } from './deadline.ts';
import type { FakeClock } from './fake-clock.ts';
import { type Act, abandon, CHOICE_BITS, choose, killFor, proxyOf, stopFor } from './fault-acts.ts';
import type { FaultTargets } from './fault-targets.ts';
import type { FaultKind, PlannedFault } from './faults.ts';
import type { Party } from './party.ts';
import { nowMs, type Recorder } from './recorder.ts';
import type { Server } from './server.ts';
import type { TcpProxy } from './tcp-proxy.ts';

const SLOW_MS = [20, 250] as const;
/** What is to be hit while it holds something, is so, if that is not too long in coming. */
const HOLDING_WITHIN_MS = 6000;
const LOOK_MS = 100;
/** Longer than any fault lasts: a server that is not free by then is not waited for. */
const FREE_WITHIN_MS = 20_000;
/** One worker in so many. */
const JUMPING_EVERY = 3;
/** So far a clock jumps, forward or back. */
const JUMP_SECONDS = 3600;
/** A process that waits this long for a processor is one of very many. */
const STALL_MS = 700;

type FaultBeneath = Extract<
  FaultKind,
  `${string}-${'postgres' | 'backend' | 'listener' | 'proxy'}` | 'failover'
>;

export class FaultRunner {
  readonly #targets: FaultTargets;
  readonly #recorder: Pick<Recorder, 'write'>;
  readonly #freeWithinMs: number;
  readonly #onTrouble: (detail: string) => void;
  /** What is being done to them excludes what else could be: a process that is stopped is not also killed. */
  readonly #busy = new Set<unknown>();
  readonly #underway = new Set<Promise<void>>();
  readonly #skipped = new Map<string, number>();

  /** @param freeWithinMs Only tests make it smaller. */
  constructor(
    targets: FaultTargets,
    recorder: Pick<Recorder, 'write'>,
    onTrouble: (detail: string) => void,
    freeWithinMs = FREE_WITHIN_MS,
  ) {
    this.#freeWithinMs = freeWithinMs;
    this.#targets = targets;
    this.#recorder = recorder;
    this.#onTrouble = onTrouble;
  }

  /** What was planned and not carried out, by its name: its target was taken, or not there. */
  get skipped(): ReadonlyMap<string, number> {
    return this.#skipped;
  }

  /**
   * Writes down when this machine had no time for us: what was slow then says nothing about the system. Never ends by itself.
   */
  async watchMachine(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      const at = nowMs();
      await delay(LOOK_MS, undefined, { signal }).catch(() => undefined);
      const until = nowMs();
      if (until - at > LOOK_MS + STALL_MS)
        this.#recorder.write({ entry: 'fault', at, until, fault: 'stall', target: 'machine' });
    }
  }

  /** Until the signal; what has begun is finished. Resolves when everything is whole again. */
  async run(plan: readonly PlannedFault[], signal: AbortSignal): Promise<void> {
    const startedAt = performance.now();
    for (const fault of plan) {
      const waitMs = Math.max(0, startedAt + fault.atMs - performance.now());
      await delay(waitMs, undefined, { signal }).catch(() => undefined);
      if (signal.aborted) break;
      const done = this.inflict(fault).catch((error: unknown) => {
        this.#onTrouble(`${fault.kind}: ${error instanceof Error ? error.message : String(error)}`);
      });
      this.#underway.add(done);
      void done.then(() => this.#underway.delete(done));
    }
    await Promise.all(this.#underway);
  }

  /** Rejects when something went wrong on the way. Called by `run`, and by tests. */
  async inflict(fault: PlannedFault): Promise<void> {
    const { kind, target, durationMs } = fault;
    const worker = this.#choose(this.#targets.workers, target);
    const gateway = this.#choose(this.#targets.gateways, target);
    const synthesizer = this.#choose(this.#targets.synthesizers, target);
    const churner = this.#choose(this.#targets.churners, target);
    const server = this.#choose(this.#targets.servers, target);
    // What is done to its clock or its connections may well befall one that is stopped.
    const anyServer = choose(this.#targets.servers, target);
    switch (kind) {
      case 'kill-worker':
        return this.#hit(worker, 'kill worker', worker.process, () => killFor(worker));
      case 'stop-worker':
        return this.#hit(worker, 'stop worker', worker.process, () => stopFor(worker, durationMs));
      case 'kill-gateway':
        return this.#whileHolding(gateway, 'kill gateway', killFor);
      case 'stop-gateway':
        return this.#whileHolding(gateway, 'stop gateway', (held) => stopFor(held, durationMs));
      case 'kill-synthesizer':
        return this.#hit(synthesizer, 'kill synthesizer', synthesizer.process, () => killFor(synthesizer));
      case 'kill-churn':
        return this.#hit(churner, 'kill churn', churner.process, () => killFor(churner));
      case 'stop-churn':
        return this.#hit(churner, 'stop churn', churner.process, () => stopFor(churner, durationMs));
      case 'kill-server':
      case 'restart-server':
        return this.#hit(server, kind.replace('-', ' '), server.name, async () => {
          await server.end(kind === 'kill-server' ? 'SIGKILL' : 'SIGTERM');
          await server.revive();
        });
      case 'stop-server':
        return this.#hit(server, 'stop server', server.name, () => stopFor(server, durationMs));
      case 'jump-server-clock':
        return this.#jump(anyServer.clock, 'jump server clock', anyServer.name, target, durationMs);
      case 'jump-worker-clock':
        return this.#jumpWorkers(target, durationMs);
      case 'rolling-restart':
        return this.#roll();
      default:
        return this.#inflictBeneath(kind, anyServer, fault);
    }
  }

  /** The first from there on to which nothing is being done, if there is one. */
  #choose<T>(list: readonly T[], target: number): T {
    const inTurn = list.map((_, place) => choose(list, target + place));
    return inTurn.find((one) => !this.#busy.has(one)) ?? choose(list, target);
  }

  /** On the database, or on the connections of a server. */
  #inflictBeneath(kind: FaultBeneath, server: Server, { target, durationMs }: PlannedFault): Promise<void> {
    const { cluster } = this.#targets;
    const [proxy, side] = proxyOf(server, target);
    const through = `${side} of ${server.name}`;
    switch (kind) {
      case 'kill-postgres':
        return this.#hit(cluster, 'kill postgres', 'postgres', () => cluster.crash('SIGKILL'));
      case 'stop-postgres':
        return this.#hit(cluster, 'stop postgres', 'postgres', () => cluster.crash('SIGQUIT'));
      case 'kill-backend':
        return this.#strike(cluster, 'kill backend', () => cluster.killBackend(target));
      case 'terminate-backend':
        return this.#strike(cluster, 'terminate backend', () => cluster.terminateBackend(target));
      case 'terminate-listener':
        return this.#strike(
          cluster,
          'terminate listener',
          async () => (await cluster.terminateListeners()) > 0,
        );
      case 'cut-proxy':
        return this.#disturb(proxy, 'cut proxy', through, durationMs, () => proxy.cut());
      case 'delay-proxy': {
        const delayMs = SLOW_MS[0] + (target % (SLOW_MS[1] - SLOW_MS[0]));
        return this.#disturb(proxy, 'delay proxy', through, durationMs, () => proxy.delay(delayMs));
      }
      case 'silence-proxy':
        return this.#disturb(proxy, 'silence proxy', through, durationMs, () => proxy.silence());
      case 'half-open-proxy':
        return this.#hit(proxy, 'half-open proxy', through, () => abandon(proxy, durationMs));
      case 'failover':
        return this.#failOver();
    }
  }

  /** Half of them forward, half back; and then right again, which is a jump too. What befalls its process meanwhile is no matter. */
  #jump(
    clock: FakeClock | null,
    fault: string,
    target: string,
    choice: number,
    durationMs: number,
  ): Promise<void> {
    if (clock === null) throw new Error(`${fault}: there is no clock that can be put wrong`);
    return this.#hit(clock, fault, target, async () => {
      clock.set((choice >> CHOICE_BITS) % 2 === 0 ? JUMP_SECONDS : -JUMP_SECONDS);
      await delay(durationMs);
      clock.set(0);
    });
  }

  /** Several, each when it has just been given something: one may write nothing more. */
  async #jumpWorkers(target: number, durationMs: number): Promise<void> {
    const { workers } = this.#targets;
    const jumping = workers.filter((_, place) => (place + target) % JUMPING_EVERY === 0);
    await Promise.all(
      jumping.map(async (worker, place) => {
        await waitUntil(() => worker.hasNewWork, HOLDING_WITHIN_MS);
        // By turns forward and back.
        const choice = target + (place << CHOICE_BITS);
        await this.#jump(worker.clock, 'jump worker clock', worker.name, choice, durationMs);
      }),
    );
  }

  /** One server after the other, each when nothing else is being done to it. */
  async #roll(): Promise<void> {
    for (const server of this.#targets.servers) {
      await this.#untilFree(server);
      await this.#during(server, 'rolling restart', server.name, (begin) => server.replace(begin));
    }
  }

  async #failOver(): Promise<void> {
    const { cluster, pair, servers } = this.#targets;
    if (pair === null) throw new Error('there is no standby to fail over to');
    await this.#untilFree(cluster);
    await this.#during(cluster, 'failover', 'postgres', (begin) =>
      pair.failOver(begin, (port) => {
        for (const server of servers) server.back.target = port;
      }),
    );
  }

  /** Or for so long: what is not free by then is left out, by `#during`. */
  async #untilFree(subject: unknown): Promise<void> {
    await waitUntil(() => !this.#busy.has(subject), this.#freeWithinMs);
  }

  /** The one that was chosen, or whichever holds something first. */
  async #whileHolding(chosen: Party, fault: string, act: (gateway: Party) => Promise<void>): Promise<void> {
    let gateway = chosen;
    await waitUntil(() => {
      const holding = this.#targets.gateways.find((one) => one.isHolding && !this.#busy.has(one));
      gateway = holding ?? chosen;
      return holding !== undefined;
    }, HOLDING_WITHIN_MS);
    await this.#hit(gateway, fault, gateway.process, () => act(gateway));
  }

  #disturb(
    proxy: TcpProxy,
    fault: string,
    target: string,
    durationMs: number,
    disturb: () => void,
  ): Promise<void> {
    return this.#hit(proxy, fault, target, async () => {
      disturb();
      await delay(durationMs);
      proxy.pass();
    });
  }

  /** It begins with its first step. */
  #hit(subject: unknown, fault: string, target: string, act: () => Promise<void>): Promise<void> {
    return this.#during(subject, fault, target, (begin) => {
      begin();
      return act();
    });
  }

  /** At once or not at all: what answers false has found nothing to hit. */
  #strike(cluster: Cluster, fault: string, strike: () => Promise<boolean>): Promise<void> {
    return this.#during(cluster, fault, 'postgres', async (begin) => {
      const at = nowMs();
      if (await strike()) begin(at);
    });
  }

  async #during(subject: unknown, fault: string, target: string, act: Act): Promise<void> {
    if (this.#busy.has(subject)) {
      this.#skip(fault);
      return;
    }
    this.#busy.add(subject);
    let begunAt: number | null = null;
    try {
      await act((at = nowMs()) => {
        begunAt = at;
      });
    } finally {
      this.#busy.delete(subject);
      if (begunAt === null) this.#skip(fault);
      else this.#recorder.write({ entry: 'fault', at: begunAt, fault, target, until: nowMs() });
    }
  }

  #skip(fault: string): void {
    this.#skipped.set(fault, (this.#skipped.get(fault) ?? 0) + 1);
  }
}
