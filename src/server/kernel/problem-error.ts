/**
 * An expected failure: a code from the one table, and a detail that is public by construction.
 * Internals go into `cause`, which is logged and never sent. There is no class per code: callers switch on `code`.
 */
import { PROBLEMS, type ProblemCode } from '../../contract/problems.ts';

/** Enough to see what is wrong; a body of a thousand bad tasks need not be answered by a thousand lines. */
export const FIELD_PROBLEMS_MAX = 20;

export interface FieldProblem {
  readonly pointer: string;
  readonly detail: string;
}

interface ProblemOptions {
  /** Further public members of the problem body. */
  readonly extensions?: Readonly<Record<string, unknown>>;
  readonly errors?: readonly FieldProblem[];
  readonly headers?: Readonly<Record<string, string>>;
  readonly cause?: unknown;
}

export class ProblemError extends Error {
  override readonly name = 'ProblemError';
  readonly code: ProblemCode;
  readonly status: number;
  readonly extensions: Readonly<Record<string, unknown>>;
  readonly errors: readonly FieldProblem[] | undefined;
  readonly headers: Readonly<Record<string, string>>;

  constructor(code: ProblemCode, detail: string, options: ProblemOptions = {}) {
    super(detail, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.status = PROBLEMS[code].status;
    this.extensions = options.extensions ?? {};
    this.errors = options.errors;
    this.headers = options.headers ?? {};
  }
}
