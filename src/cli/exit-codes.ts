/** The documented exit codes, and which one an error ends the program with. */
import { LanekeeperError, UnreachableError } from '../client/errors.ts';

export const EXIT = {
  ok: 0,
  error: 1,
  usage: 2,
  notFound: 3,
  auth: 4,
  conflict: 5,
  unreachable: 6,
  /** As timeout(1) has it. */
  waitTimedOut: 124,
  /** 128 + SIGINT, as shells have it; for SIGTERM and SIGHUP too. */
  interrupted: 130,
} as const;

export type ExitCode = (typeof EXIT)[keyof typeof EXIT];

export const EXIT_CODES_HELP = `Exit codes of lanekeeper:
    0  ok
    1  error
    2  usage: an unknown command or option, a value that makes no sense, also to the server
    3  not found: no such board, lane, task, run or key (or you may not see it)
    4  auth: no, a wrong or an expired credential, or one that may not do this
    5  conflict: the state of the resource does not allow it, or it has changed
    6  unreachable: no answer from the server
  124  a wait has timed out
  130  interrupted, by Ctrl-C or by the signals TERM and HUP
`;

/** A mistake in how the command was called. */
export class UsageError extends Error {
  override readonly name = 'UsageError';
}

/** An end that has been explained on stderr already, or needs no words. */
export class ExitError extends Error {
  override readonly name = 'ExitError';
  readonly exitCode: ExitCode;

  constructor(exitCode: ExitCode, message = '') {
    super(message);
    this.exitCode = exitCode;
  }
}

export function exitCodeOf(error: unknown): ExitCode {
  if (error instanceof ExitError) return error.exitCode;
  if (error instanceof UsageError) return EXIT.usage;
  if (error instanceof UnreachableError) return EXIT.unreachable;
  if (error instanceof LanekeeperError) return exitCodeOfStatus(error.status);
  return EXIT.error;
}

function exitCodeOfStatus(status: number): ExitCode {
  switch (status) {
    case 400:
      return EXIT.usage;
    case 401:
    case 403:
      return EXIT.auth;
    case 404:
      return EXIT.notFound;
    case 409:
    case 412:
    case 422:
      return EXIT.conflict;
    case 502:
    case 503:
    case 504:
      return EXIT.unreachable;
    default:
      return EXIT.error;
  }
}
