/** What one look of the doctor has found. */
export interface Finding {
  /** What was looked at. */
  readonly check: string;
  readonly status: 'ok' | 'warn' | 'fail' | 'skipped';
  /** What is, and what it comes from. */
  readonly detail: string;
  /** What to do about it. */
  readonly next?: string;
}

type Words = readonly [detail: string, next?: string];

function finding(check: string, status: Finding['status'], [detail, next]: Words): Finding {
  return next === undefined ? { check, status, detail } : { check, status, detail, next };
}

export const ok = (check: string, detail: string): Finding => finding(check, 'ok', [detail]);
export const warn = (check: string, ...words: Words): Finding => finding(check, 'warn', words);
export const fail = (check: string, ...words: Words): Finding => finding(check, 'fail', words);
export const skipped = (check: string, detail: string): Finding => finding(check, 'skipped', [detail]);

/** An error in one line: what people need of it, and no stack. */
export function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
