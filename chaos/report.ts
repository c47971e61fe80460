/** What is printed of a run. */
import type { FaultEntry, FinalState, HistoryEntry, Violation } from './history.ts';
import type { WindowCount } from './windows.ts';

/** Of each property: one instance shows what is wrong, and the others are in the file beside the recording. */
const SHOWN_PER_PROPERTY = 3;
const EVIDENCE_CHARACTERS_MAX = 3000;

export function renderLoad(entries: readonly HistoryEntry[]): string {
  const operations = entries.filter((entry) => entry.entry === 'operation');
  const kinds = [...new Set(operations.map(({ kind }) => kind))].sort();
  const rows = kinds.map((kind) => {
    const own = operations.filter((operation) => operation.kind === kind);
    const count = (ending: string): string =>
      String(own.filter((operation) => operation.ending === ending).length);
    return [kind, count('ok'), count('fail'), count('unknown')];
  });
  return renderTable([['operation', 'ok', 'refused', 'unknown'], ...rows]);
}

export function renderFaults(entries: readonly HistoryEntry[]): string {
  const faults = entries.filter((entry): entry is FaultEntry => entry.entry === 'fault');
  const names = [...new Set(faults.map(({ fault }) => fault))].sort();
  const rows = names.map((name) => [name, String(faults.filter(({ fault }) => fault === name).length)]);
  return renderTable([['fault', 'times'], ...rows]);
}

export function renderDeliveries({ deliveries, subscriptions }: FinalState): string {
  const statuses = [...new Set(deliveries.map(({ status }) => status))].sort();
  const counts = statuses.map(
    (wanted) => `${deliveries.filter(({ status }) => status === wanted).length} ${wanted}`,
  );
  return `${subscriptions.length} subscriptions, ${deliveries.length} deliveries (${counts.join(', ')})`;
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
