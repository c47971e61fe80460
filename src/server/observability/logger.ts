/** The log: JSON lines on stderr, so that stdout stays free for what the user asked to see. Secrets are cut out by name. */
import { type Logger, pino } from 'pino';
import { PinoPretty } from 'pino-pretty';
import type { ProblemError } from '../kernel/problem-error.ts';

export type { Logger } from 'pino';

/** Fields that must never be written, wherever they turn up. The driver hangs parameters and SQL on its errors. */
const REDACTED = ['authorization', 'token', 'secret', 'password', 'parameters', 'args', 'query'].flatMap(
  (name) => [name, `*.${name}`, `*.*.${name}`],
);

export function createLogger(level: string, format: 'json' | 'pretty'): Logger {
  const options = {
    level,
    base: null,
    redact: { paths: REDACTED, remove: true },
    timestamp: pino.stdTimeFunctions.isoTime,
  };
  return format === 'pretty'
    ? pino(options, PinoPretty({ destination: 2, sync: true }))
    : pino(options, pino.destination({ dest: 2, sync: true }));
}

/** A server that is being stopped sends away who comes: nothing has failed, though it is a 503. */
export function logProblem(
  logger: Pick<Logger, 'debug' | 'error'>,
  problem: ProblemError,
  fields: Readonly<Record<string, string>>,
): void {
  const line = { ...fields, code: problem.code };
  if (problem.status < 500 || problem.code === 'draining') logger.debug(line, 'request refused');
  else logger.error({ ...line, error: describeError(problem.cause ?? problem) }, 'request failed');
}

/** What the log may know of an error: never SQL parameters, which the driver hangs on it. */
export function describeError(error: unknown): Record<string, unknown> {
  if (!(error instanceof Error)) return { message: String(error) };
  const code = 'code' in error ? error.code : undefined;
  const cause = error.cause === undefined ? undefined : describeError(error.cause);
  return { name: error.name, message: error.message, code, stack: error.stack, cause };
}
