/** Slots: what the claiming statement is asked to fill, before there is a task for them. */
import type { Uuid } from '../../../kernel/ids.ts';

/** Room for one task: who would hold it, and how. Slots of one lane stand together, first served first. */
export interface Slot {
  readonly lane: string;
  readonly runId: Uuid;
  readonly worker: string;
  readonly keyId: string;
  readonly leaseSeconds: number;
  readonly maxRuntimeSeconds: number | null;
  readonly noProgressSeconds: number | null;
  /** The claim is taken when the worker's socket closes. Default: false. */
  readonly isCrashOnDisconnect?: boolean;
  /** Work under review that fills it, locked by this transaction. Default: a ready task fills it. */
  readonly review?: { readonly id: Uuid; readonly unmet_parents: number };
}
