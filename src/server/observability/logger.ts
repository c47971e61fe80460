/** The log: JSON lines on stderr, so that stdout stays free for what the user asked to see. Secrets are cut out by name. */
import { type Logger, pino } from 'pino';
import { PinoPretty } from 'pino-pretty';

export type { Logger } from 'pino';

/** Fields that must never be written, wherever they turn up. The driver hangs parameters and SQL on its errors. */
const REDACTED = ['authorization', 'token', 'secret', 'password', 'parameters', 'args', 'query'].flatMap((name) => [name, `*.${name}`, `*.*.${name}`]);

export function createLogger(level: string, format: 'json' | 'pretty'): Logger {
  const options = { level, base: null, redact: { paths: REDACTED, remove: true }, timestamp: pino.stdTimeFunctions.isoTime };
  return format === 'pretty' ? pino(options, PinoPretty({ destination: 2, sync: true })) : pino(options, pino.destination({ dest: 2, sync: true }));
}
