/** Carries the plan of faults out, and writes down what was really done, and when it was over. */
import { setTimeout as delay } from 'node:timers/promises';
import type { Cluster } from './cluster.ts';
import { waitUntil } from './deadline.ts';
import type { PlannedFault } from './faults.ts';
import type { Party } from './party.ts';
import { nowMs, type Recorder } from './recorder.ts';
import type { Server } from './server.ts';
import type { TcpProxy } from './tcp-proxy.ts';

export interface FaultTargets {
  readonly cluster: Cluster;
  readonly servers: readonly Server[];
  readonly workers: readonly Party[];
  readonly gateways: readonly Party[];
  readonly synthesizers: readonly Party[];
}

/** Between the death of a process and its next life. */
const REVIVE_MS = 300;
const SLOW_MS = [20, 250] as const;
/** A gateway is hit while it holds something, if that is not too long in coming. */
const HOLDING_WITHIN_MS = 6000;
const LOOK_MS = 100;
/** A process that waits this long for a processor is one of very many. */
const STALL_MS = 700;

export class FaultRunner {
  readonly #targets: FaultTargets;
  readonly #recorder: Recorder;
  readonly #onTrouble: (detail: string) => void;
  /** What is being done to them excludes what else could be: a process that is stopped is not also killed. */
  readonly #busy = new Set<unknown>();
  readonly #underway = new Set<Promise<void>>();

  constructor(targets: FaultTargets, recorder: Recorder, onTrouble: (detail: string) => void) {
    this.#targets = targets;
    this.#recorder = recorder;
    this.#onTrouble = onTrouble;
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
      const done = this.#inflict(fault).catch((error: unknown) => {
        this.#onTrouble(`${fault.kind}: ${error instanceof Error ? error.message : String(error)}`);
      });
      this.#underway.add(done);
      void done.then(() => this.#underway.delete(done));
    }
    await Promise.all(this.#underway);
  }

  #inflict({ kind, target, durationMs }: PlannedFault): Promise<void> {
    const { cluster } = this.#targets;
    const worker = choose(this.#targets.workers, target);
    const gateway = choose(this.#targets.gateways, target);
    const synthesizer = choose(this.#targets.synthesizers, target);
    const server = choose(this.#targets.servers, target);
    const [proxy, side] = proxyOf(server, target);
    const through = `${side} of ${server.name}`;
    switch (kind) {
      case 'kill-worker':
        return this.#during(worker, 'kill worker', worker.process, () => killFor(worker));
      case 'stop-worker':
        return this.#during(worker, 'stop worker', worker.process, () => stopFor(worker, durationMs));
      case 'kill-gateway':
        return this.#whileHolding(gateway, 'kill gateway', killFor);
      case 'stop-gateway':
        return this.#whileHolding(gateway, 'stop gateway', (held) => stopFor(held, durationMs));
      case 'kill-synthesizer':
        return this.#during(synthesizer, 'kill synthesizer', synthesizer.process, () => killFor(synthesizer));
      case 'kill-server':
      case 'restart-server':
        return this.#during(server, kind.replace('-', ' '), server.name, async () => {
          await server.end(kind === 'kill-server' ? 'SIGKILL' : 'SIGTERM');
          await server.revive();
        });
      case 'stop-server':
        return this.#during(server, 'stop server', server.name, () => stopFor(server, durationMs));
      case 'kill-postgres':
        return this.#during(cluster, 'kill postgres', 'postgres', () => cluster.crash('SIGKILL'));
      case 'stop-postgres':
        return this.#during(cluster, 'stop postgres', 'postgres', () => cluster.crash('SIGQUIT'));
      case 'kill-backend':
        return this.#during(cluster, 'kill backend', 'postgres', async () => {
          await cluster.killBackend(target);
        });
      case 'terminate-backend':
        return this.#during(cluster, 'terminate backend', 'postgres', async () => {
          await cluster.terminateBackend(target);
        });
      case 'terminate-listener':
        return this.#during(cluster, 'terminate listener', 'postgres', async () => {
          await cluster.terminateListeners();
        });
      case 'cut-proxy':
        return this.#disturb(proxy, 'cut proxy', through, durationMs, () => proxy.cut());
      case 'delay-proxy': {
        const delayMs = SLOW_MS[0] + (target % (SLOW_MS[1] - SLOW_MS[0]));
        return this.#disturb(proxy, 'delay proxy', through, durationMs, () => proxy.delay(delayMs));
      }
      case 'silence-proxy':
        return this.#disturb(proxy, 'silence proxy', through, durationMs, () => proxy.silence());
    }
  }

  /** The one that was chosen, or whichever holds something first. */
  async #whileHolding(chosen: Party, fault: string, act: (gateway: Party) => Promise<void>): Promise<void> {
    let gateway = chosen;
    await waitUntil(() => {
      const holding = this.#targets.gateways.find((one) => one.isHolding && !this.#busy.has(one));
      gateway = holding ?? chosen;
      return holding !== undefined;
    }, HOLDING_WITHIN_MS);
    await this.#during(gateway, fault, gateway.process, () => act(gateway));
  }

  #disturb(
    proxy: TcpProxy,
    fault: string,
    target: string,
    durationMs: number,
    disturb: () => void,
  ): Promise<void> {
    return this.#during(proxy, fault, target, async () => {
      disturb();
      await delay(durationMs);
      proxy.pass();
    });
  }

  async #during(subject: unknown, fault: string, target: string, act: () => Promise<void>): Promise<void> {
    if (this.#busy.has(subject)) return;
    this.#busy.add(subject);
    const at = nowMs();
    try {
      await act();
    } finally {
      this.#busy.delete(subject);
      this.#recorder.write({ entry: 'fault', at, fault, target, until: nowMs() });
    }
  }
}

async function killFor(party: Party): Promise<void> {
  await party.kill();
  await delay(REVIVE_MS);
  party.start();
}

async function stopFor(process: Pick<Party | Server, 'signal'>, durationMs: number): Promise<void> {
  process.signal('SIGSTOP');
  try {
    await delay(durationMs);
  } finally {
    process.signal('SIGCONT');
  }
}

function choose<T>(list: readonly T[], target: number): T {
  const chosen = list[target % list.length];
  if (chosen === undefined) throw new Error('there is nothing to hit');
  return chosen;
}

/** Half of them before the server, half between it and its database. */
function proxyOf(server: Server, target: number): readonly [TcpProxy, string] {
  return (target >> 4) % 2 === 0 ? [server.front, 'front'] : [server.back, 'back'];
}
