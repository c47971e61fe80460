/** The settings of a lane as a person enters them, and what of that goes to the server: only what was changed. Pure. */
import type { BodyOf, Lane } from '../../client/index.ts';

type LaneChange = BodyOf<'patchLane'>;

type NumberName = 'max_concurrent_claims' | 'lease_seconds' | 'no_progress_seconds' | 'max_runtime_seconds';

interface NumberField {
  readonly name: NumberName;
  readonly label: string;
  /** What an empty field means. */
  readonly empty: string;
  /** The server's own bound. */
  readonly most: number;
}

const DAY_SECONDS = 86_400;

export const NUMBER_FIELDS: readonly NumberField[] = [
  { name: 'max_concurrent_claims', label: 'Claims at once', empty: 'no limit', most: 1_000_000 },
  { name: 'lease_seconds', label: 'Lease (seconds)', empty: 'the default', most: DAY_SECONDS },
  {
    name: 'no_progress_seconds',
    label: 'Most time without progress (seconds)',
    empty: 'no limit',
    most: DAY_SECONDS,
  },
  { name: 'max_runtime_seconds', label: 'Most run time (seconds)', empty: 'no limit', most: DAY_SECONDS },
];

export const CLAIM_MODES = ['pull-or-watch', 'pull', 'watch', 'push'] as const;
export const STATUS_MUTATIONS = ['own-claimed-only', 'none'] as const;

/** One "key: value" a line. */
export function labelsText(labels: Readonly<Record<string, string>>): string {
  return Object.entries(labels)
    .map(([key, value]) => `${key}: ${value}`)
    .join('\n');
}

/** Throws where a line has no colon. */
export function parseLabels(text: string): Record<string, string> {
  const lines = text
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '');
  return Object.fromEntries(lines.map(parseLabel));
}

function parseLabel(line: string): [string, string] {
  const at = line.indexOf(':');
  if (at < 1) throw new RangeError(`Labels are "key: value", one a line; this is not: ${line}`);
  return [line.slice(0, at).trim(), line.slice(at + 1).trim()];
}

export type LaneEntries = Readonly<Record<string, string>>;

/** `before` is undefined for a new lane: then everything that was entered is sent. An emptied field is set back (null). */
export function laneChange(entries: LaneEntries, before: Lane | undefined): LaneChange {
  const change: LaneChange = {};
  const entered = (name: string): string => (entries[name] ?? '').trim();
  const claimMode = CLAIM_MODES.find((mode) => mode === entries['claim_mode']);
  if (claimMode !== undefined && claimMode !== before?.claim_mode) change.claim_mode = claimMode;
  const mutations = STATUS_MUTATIONS.find((one) => one === entries['allowed_status_mutations']);
  if (mutations !== undefined && mutations !== before?.allowed_status_mutations)
    change.allowed_status_mutations = mutations;
  for (const { name } of NUMBER_FIELDS) {
    const value = entered(name) === '' ? null : Number(entered(name));
    if (value !== (before?.[name] ?? null)) change[name] = value;
  }
  const description = entered('description') || null;
  if (description !== (before?.description ?? null)) change.description = description;
  const labels = parseLabels(entries['labels'] ?? '');
  if (!isSame(labels, before?.labels ?? {})) change.labels = labels;
  return change;
}

function isSame(left: Readonly<Record<string, string>>, right: Readonly<Record<string, string>>): boolean {
  const keys = Object.keys(left);
  return keys.length === Object.keys(right).length && keys.every((key) => left[key] === right[key]);
}
