/**
 * What a batch of requests asks for, laid out as slots: lane by lane, and within a lane the requests in turns, so that one asking for a
 * hundred leaves some for the others. Pure, but for the ids of the runs.
 */
import type { EmptyClaimReason } from '../../../../contract/statuses.ts';
import type { Settled } from '../../../kernel/batcher.ts';
import type { IdSource, Uuid } from '../../../kernel/ids.ts';
import type { BoardRef } from '../../boards/service.ts';
import type { BoardConfig } from '../../lanes/service.ts';
import { gateOf } from '../gate.ts';
import type { ClaimedRow } from '../store/claimed-row.ts';
import type { Slot } from '../store/slot.ts';
import type { Filled } from './filling.ts';

export interface ClaimRequest {
  readonly lane: string;
  readonly keyId: string;
  readonly worker: string;
  readonly max: number;
  readonly leaseSeconds: number | null;
  readonly isWaiting: boolean;
  /** Made by the server, against credits. */
  readonly isPush?: boolean;
  /** The claim is taken when the worker's socket closes. */
  readonly isCrashOnDisconnect?: boolean;
}

/** What one request got; `reason` says why it is empty. */
export interface ClaimedTasks {
  readonly rows: readonly ClaimedRow[];
  readonly reason: EmptyClaimReason | null;
  /** It is less than was asked for, and its lane was not looked at from its start. Default: false. */
  readonly isPassedOver?: boolean;
}

export interface SlotPlan {
  readonly slots: readonly Slot[];
  readonly settle: (filled: Filled) => Settled<ClaimedTasks>[];
}

/** One slot of one request: its first, its second, … */
interface Turn {
  readonly lane: string;
  readonly turn: number;
  readonly request: number;
  readonly slot: Slot;
}

export function planSlots(
  board: BoardRef,
  config: BoardConfig,
  requests: readonly ClaimRequest[],
  ids: IdSource,
): SlotPlan {
  const gates = requests.map((request) => gateOf(config, { ...request, board: board.name }));
  const turns: Turn[] = [];
  requests.forEach((request, index) => {
    const gate = gates[index];
    if (gate?.kind !== 'open') return;
    for (let turn = 0; turn < request.max; turn += 1) {
      const slot = {
        lane: request.lane,
        runId: ids.next(board.id),
        worker: request.worker,
        keyId: request.keyId,
        leaseSeconds: request.leaseSeconds ?? gate.lane.lease_seconds,
        maxRuntimeSeconds: gate.lane.max_runtime_seconds,
        noProgressSeconds: gate.lane.no_progress_seconds,
        isCrashOnDisconnect: request.isCrashOnDisconnect ?? false,
      };
      turns.push({ lane: request.lane, turn, request: index, slot });
    }
  });
  turns.sort(byLaneAndTurn);
  const requestOfRun = new Map(turns.map((turn) => [turn.slot.runId, turn.request]));
  return {
    slots: turns.map((turn) => turn.slot),
    settle: ({ rows, full, passedOver }) => {
      const mine = rowsByRequest(rows, requestOfRun);
      return requests.map((request, index): Settled<ClaimedTasks> => {
        const gate = gates[index];
        if (gate?.kind === 'refused') return { ok: false, error: gate.problem };
        if (gate?.kind === 'closed') return { ok: true, value: { rows: [], reason: gate.reason } };
        const got = mine.get(index);
        if (got !== undefined) {
          const isPassedOver = got.length < request.max && passedOver.has(request.lane);
          return { ok: true, value: { rows: got, reason: null, isPassedOver } };
        }
        return {
          ok: true,
          value: {
            rows: [],
            reason: full.has(request.lane) ? 'at_capacity' : 'none_ready',
            isPassedOver: passedOver.has(request.lane),
          },
        };
      });
    },
  };
}

function rowsByRequest(
  rows: readonly ClaimedRow[],
  requestOfRun: ReadonlyMap<Uuid, number>,
): Map<number, ClaimedRow[]> {
  const byRequest = new Map<number, ClaimedRow[]>();
  for (const row of rows) {
    const request = requestOfRun.get(row.run_id);
    if (request === undefined) continue;
    const known = byRequest.get(request);
    if (known === undefined) byRequest.set(request, [row]);
    else known.push(row);
  }
  return byRequest;
}

function byLaneAndTurn(left: Turn, right: Turn): number {
  if (left.lane !== right.lane) return left.lane < right.lane ? -1 : 1;
  return left.turn - right.turn || left.request - right.request;
}
