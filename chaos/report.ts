/** What is printed of a run. */
import type { LogReach } from './checkers/pruned-tasks.ts';
import type { FaultEntry, FinalState, HistoryEntry, PrunedState, Violation } from './history.ts';
import type { WindowCount } from './windows.ts';

/** Of each property: one instance shows what is wrong, and the others are in the file beside the recording. */
const SHOWN_PER_PROPERTY = 3;
const EVIDENCE_CHARACTERS_MAX = 3000;

export interface OperationCount {
  readonly kind: string;
  readonly ok: number;
  readonly refused: number;
  readonly unknown: number;
}

export interface FaultCount {
  readonly fault: string;
  readonly times: number;
}

export function listLoad(entries: readonly HistoryEntry[]): OperationCount[] {
  const operations = entries.filter((entry) => entry.entry === 'operation');
  const kinds = [...new Set(operations.map(({ kind }) => kind))].sort();
  return kinds.map((kind) => {
    const own = operations.filter((operation) => operation.kind === kind);
    const count = (wanted: string): number => own.filter(({ ending }) => ending === wanted).length;
    return { kind, ok: count('ok'), refused: count('fail'), unknown: count('unknown') };
  });
}

export function listFaults(entries: readonly HistoryEntry[]): FaultCount[] {
  const faults = entries.filter((entry): entry is FaultEntry => entry.entry === 'fault');
  const names = [...new Set(faults.map(({ fault }) => fault))].sort();
  return names.map((name) => ({
    fault: name,
    times: faults.filter(({ fault }) => fault === name).length,
  }));
}

export function renderLoad(operations: readonly OperationCount[]): string {
  const rows = operations.map(({ kind, ...counts }) => [
    kind,
    ...[counts.ok, counts.refused, counts.unknown].map(String),
  ]);
  return renderTable([['operation', 'ok', 'refused', 'unknown'], ...rows]);
}

/** @param skipped What was planned and not carried out: its target was taken by another fault, or not there. */
export function renderFaults(faults: readonly FaultCount[], skipped: readonly FaultCount[]): string {
  const timesOf = (list: readonly FaultCount[], name: string): string =>
    String(list.find(({ fault }) => fault === name)?.times ?? 0);
  const names = [...new Set([...faults, ...skipped].map(({ fault }) => fault))].sort();
  return renderTable([
    ['fault', 'times', 'skipped'],
    ...names.map((name) => [name, timesOf(faults, name), timesOf(skipped, name)]),
  ]);
}

export function renderDeliveries({ deliveries, subscriptions }: FinalState): string {
  const statuses = [...new Set(deliveries.map(({ status }) => status))].sort();
  const counts = statuses.map(
    (wanted) => `${deliveries.filter(({ status }) => status === wanted).length} ${wanted}`,
  );
  return `${subscriptions.length} subscriptions, ${deliveries.length} deliveries (${counts.join(', ')})`;
}

export function renderPruned(
  { tasks, events, seq }: PrunedState,
  { holes, comparedTasks }: LogReach,
): string {
  return [
    `on the board that prunes ${tasks.length} tasks are left, and ${events.length} of ${seq} events`,
    `the log, of which ${holes} stretches are not known, tells of ${comparedTasks} of these tasks`,
  ].join('; ');
}

export function renderWindows(windows: readonly WindowCount[]): string {
  const rows = windows.map(({ window, count, isExpected }) => [
    window,
    isExpected ? String(count) : `${count} (not sought)`,
  ]);
  return renderTable([['race window', 'times'], ...rows]);
}

export function renderViolations(violations: readonly Violation[]): string {
  const properties = [...new Set(violations.map(({ property }) => property))].sort(
    (one, other) => one - other,
  );
  return properties
    .map((property) => {
      const own = violations.filter((violation) => violation.property === property);
      const shown = own.slice(0, SHOWN_PER_PROPERTY).map(({ detail, evidence }) => {
        const text = JSON.stringify(evidence, null, 2).slice(0, EVIDENCE_CHARACTERS_MAX);
        return `  ${detail}\n${text.replaceAll(/^/gm, '    ')}`;
      });
      const rest = own.length > shown.length ? [`  and ${own.length - shown.length} more`] : [];
      return [`VIOLATION of property ${property}, ${own.length} times`, ...shown, ...rest].join('\n');
    })
    .join('\n');
}

function renderTable(rows: readonly (readonly string[])[]): string {
  const widths = (rows[0] ?? []).map((_, column) =>
    Math.max(...rows.map((row) => (row[column] ?? '').length)),
  );
  return rows
    .map((row) =>
      row
        .map((cell, column) =>
          column === 0 ? cell.padEnd(widths[0] ?? 0) : cell.padStart(widths[column] ?? 0),
        )
        .join('  ')
        .trimEnd(),
    )
    .map((line) => `  ${line}`)
    .join('\n');
}
