import type { PatchTaskBody } from '../../../contract/tasks.ts';
import type { TaskPatch } from './store/change.ts';

/** Fields of a patch that live in the hot row. */
const HOT_FIELDS = ['priority', 'max_failures', 'max_runtime_seconds', 'no_progress_seconds'] as const;
/** What null sets these fields back to; the others become null. */
const CLEARED: Readonly<Record<string, unknown>> = { priority: 0, max_failures: 2, labels: {} };

/** In a PATCH null clears: to nothing, or to the default where there must be a value. */
export function patchOf(body: PatchTaskBody): TaskPatch {
  const given = Object.entries(body).map(
    ([name, value]) => [name, value === null ? (CLEARED[name] ?? null) : value] as const,
  );
  const isHot = (name: string): boolean => (HOT_FIELDS as readonly string[]).includes(name);
  return {
    hot: Object.fromEntries(given.filter(([name]) => isHot(name))),
    detail: Object.fromEntries(given.filter(([name]) => !isHot(name))),
  };
}
