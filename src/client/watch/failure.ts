/** What the end of a watch means to its consumer: nothing when it was asked for, else the error to throw. */
import { CLOSE_CODES } from '../../contract/constants.ts';
import { type ErrorCode, LanekeeperError, UnreachableError } from '../errors.ts';
import type { Ending } from './machine.ts';

export function failureOf(ending: Ending, url: string): Error | undefined {
  switch (ending.kind) {
    case 'aborted':
      return undefined;
    case 'refused':
      return ending.error;
    case 'close_code':
      return errorOfClose(ending.code, ending.reason);
    case 'gap':
      return new UnreachableError('events are missing from the log it sends', { url, cause: undefined });
  }
}

interface Meaning {
  readonly code: ErrorCode;
  readonly status: number;
  readonly title: string;
}

/** Close codes 4400 to 4499 mirror HTTP statuses. */
const MEANINGS: Readonly<Record<number, Meaning>> = {
  [CLOSE_CODES.unauthenticated]: {
    code: 'unauthenticated',
    status: 401,
    title: 'A valid credential is required',
  },
  [CLOSE_CODES.forbidden]: { code: 'forbidden', status: 403, title: 'This principal may not do that' },
  [CLOSE_CODES.superseded]: {
    code: 'superseded',
    status: 409,
    title: 'Another socket has said hello as this worker',
  },
};

/** What the server says with the code for broken rules when there is nothing left to watch. */
const BOARD_GONE = 'the board is gone';

function meaningOf(code: number, reason: string): Meaning {
  if (code === CLOSE_CODES.policy && reason === BOARD_GONE)
    return { code: 'not_found', status: 404, title: 'There is no such resource' };
  const status = code >= 4400 ? code - 4000 : 0;
  return MEANINGS[code] ?? { code: 'unexpected_answer', status, title: 'The server closed the watch' };
}

function errorOfClose(code: number, reason = ''): LanekeeperError {
  const detail = reason === '' ? `close code ${code}` : `${reason}, close code ${code}`;
  return new LanekeeperError({ ...meaningOf(code, reason), detail });
}

export function asError(error: unknown): Error {
  return error instanceof Error ? error : new Error(String(error));
}
