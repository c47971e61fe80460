/** What the end of a watch means to its consumer: nothing when it was asked for, else the error to throw. */
import { LanekeeperError, UnreachableError } from '../errors.ts';
import type { Ending } from './machine.ts';

export function failureOf(ending: Ending, url: string): Error | undefined {
  switch (ending.kind) {
    case 'aborted':
      return undefined;
    case 'refused':
      return ending.error;
    case 'close_code':
      return errorOfCloseCode(ending.code);
    case 'gap':
      return new UnreachableError('events are missing from the log it sends', { url, cause: undefined });
  }
}

/** Close codes 4400 to 4499 mirror HTTP statuses. */
function errorOfCloseCode(code: number): LanekeeperError {
  const known: Readonly<Record<number, { readonly code: LanekeeperError['code']; readonly title: string }>> =
    {
      4401: { code: 'unauthenticated', title: 'A valid credential is required' },
      4403: { code: 'forbidden', title: 'This principal may not do that' },
      4409: {
        code: 'unexpected_answer',
        title: 'Another worker with the same name has taken over the socket',
      },
    };
  const { code: problem, title } = known[code] ?? {
    code: 'unexpected_answer',
    title: 'The server closed the watch',
  };
  return new LanekeeperError({
    code: problem,
    title,
    status: code >= 4400 ? code - 4000 : 0,
    detail: `close code ${code}`,
  });
}

export function asError(error: unknown): Error {
  return error instanceof Error ? error : new Error(String(error));
}
