/** The environment → one frozen configuration. The only reader of process.env in the server. */
import { join, resolve } from 'node:path';
import { z } from 'zod';
import { readHosts } from './db/hosts.ts';
import { type ForwardedHeader, readRange } from './http/peers.ts';
import { readSecretFiles } from './secret-files.ts';

/** An empty variable counts as unset: that is how compose files pass on what nobody set. */
const text = z.preprocess((value) => (value === '' ? undefined : value), z.string().optional());
const whole = (min: number, max: number) =>
  text.refine(
    (value) => value === undefined || (/^\d+$/.test(value) && Number(value) >= min && Number(value) <= max),
    `must be a whole number from ${min} to ${max}`,
  );
/** What `read` throws says what is wrong, without secrets. */
const textReadBy = (read: (value: string) => unknown) =>
  text.superRefine((value, context) => {
    if (value === undefined) return;
    try {
      read(value);
    } catch (error) {
      context.addIssue(error instanceof Error ? error.message : String(error));
    }
  });

/** Settings that may be in a file, and the variables that name it. */
const SECRET_FILES: Readonly<Record<string, string>> = {
  DATABASE_URL: 'DATABASE_URL_FILE',
  LANEKEEPER_ADMIN_KEY: 'LANEKEEPER_ADMIN_KEY_FILE',
  LANEKEEPER_SECRET: 'LANEKEEPER_SECRET_FILE',
};

/** A statement of ours takes milliseconds; one of a second is worth a line. */
const SLOW_STATEMENT_MS_DEFAULT = 1000;
/** A year, and a month to look back at it. */
const AUDIT_DAYS_DEFAULT = 400;

/** Pinned by the wire contract. */
const DEFAULT_PORT = 7420;
const ADMIN_KEY_CHARACTERS_MIN = 24;

const Environment = z.object({
  PORT: whole(0, 65_535),
  HOST: text,
  DATABASE_URL: textReadBy(readHosts),
  LANEKEEPER_DATA_DIR: text,
  LANEKEEPER_ADMIN_KEY: text.refine(
    (value) =>
      value === undefined || (value.length >= ADMIN_KEY_CHARACTERS_MIN && /^[\x21-\x7e]+$/.test(value)),
    `must be at least ${ADMIN_KEY_CHARACTERS_MIN} printable characters without spaces`,
  ),
  LANEKEEPER_SECRET: text,
  LANEKEEPER_PUBLIC_URL: text.refine((value) => value === undefined || URL.canParse(value), 'must be a URL'),
  LANEKEEPER_ALLOWED_ORIGINS: text,
  LANEKEEPER_WEBHOOK_HOSTS: text,
  LANEKEEPER_RATE_LIMIT: whole(1, 1_000_000_000),
  LANEKEEPER_LOG_LEVEL: z.preprocess(
    (value) => (value === '' ? undefined : value),
    z.enum(['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent']).optional(),
  ),
  LANEKEEPER_LOG_FORMAT: z.preprocess(
    (value) => (value === '' ? undefined : value),
    z.enum(['json', 'pretty']).optional(),
  ),
  LANEKEEPER_NOTIFY: z.preprocess(
    (value) => (value === '' ? undefined : value),
    z.enum(['listen', 'poll']).optional(),
  ),
  LANEKEEPER_TRUSTED_PROXIES: textReadBy((value) => wordsOf(value).map(readRange)),
  LANEKEEPER_FORWARDED_HEADER: z.preprocess(
    (value) => (typeof value === 'string' && value !== '' ? value.toLowerCase() : undefined),
    z.enum(['x-forwarded-for', 'forwarded']).optional(),
  ),
  LANEKEEPER_SLOW_STATEMENT_MS: whole(0, 3_600_000),
  LANEKEEPER_AUDIT_DAYS: whole(1, 36_500),
});

export interface Config {
  readonly port: number;
  readonly host: string;
  /** null: run the embedded Postgres. */
  readonly databaseUrl: string | null;
  readonly dataDir: string;
  readonly adminKey: string | null;
  readonly secret: string | null;
  readonly publicUrl: string | null;
  readonly allowedOrigins: readonly string[];
  /** Hosts, with or without a port, that webhooks may go to although they are not public. */
  readonly webhookHosts: readonly string[];
  readonly rateLimitPerMinute: number | null;
  readonly logLevel: 'fatal' | 'error' | 'warn' | 'info' | 'debug' | 'trace' | 'silent';
  readonly logFormat: 'json' | 'pretty';
  readonly notify: 'listen' | 'poll';
  /** Addresses and CIDR ranges whose word about a client's address is taken. */
  readonly trustedProxies: readonly string[];
  /** The one header in which they say it. */
  readonly forwardedHeader: ForwardedHeader;
  /** 0: no statement is reported as slow. */
  readonly slowStatementMs: number;
  /** How long entries of the audit log are kept. */
  readonly auditDays: number;
}

export class ConfigError extends Error {
  override readonly name = 'ConfigError';
}

export function readConfig(environment: Readonly<Record<string, string | undefined>> = process.env): Config {
  const { values, faults } = readSecretFiles(environment, SECRET_FILES);
  if (faults.length > 0) throw new ConfigError(faults.join('\n'));
  const parsed = Environment.safeParse({ ...environment, ...values });
  if (!parsed.success) {
    // Values stay out of the message: some of these variables are secrets.
    const sourceOf = (name: string): string =>
      (Object.hasOwn(values, name) ? SECRET_FILES[name] : undefined) ?? name;
    throw new ConfigError(
      parsed.error.issues.map((issue) => `${sourceOf(issue.path.join('.'))} ${issue.message}`).join('\n'),
    );
  }
  const env = parsed.data;
  return Object.freeze({
    port: env.PORT === undefined ? DEFAULT_PORT : Number(env.PORT),
    host: env.HOST ?? '127.0.0.1',
    databaseUrl: env.DATABASE_URL ?? null,
    dataDir: resolve(env.LANEKEEPER_DATA_DIR ?? join('.', '.lanekeeper')),
    adminKey: env.LANEKEEPER_ADMIN_KEY ?? null,
    secret: env.LANEKEEPER_SECRET ?? null,
    publicUrl: env.LANEKEEPER_PUBLIC_URL?.replace(/\/+$/, '') ?? null,
    allowedOrigins: wordsOf(env.LANEKEEPER_ALLOWED_ORIGINS),
    webhookHosts: wordsOf(env.LANEKEEPER_WEBHOOK_HOSTS),
    rateLimitPerMinute: env.LANEKEEPER_RATE_LIMIT === undefined ? null : Number(env.LANEKEEPER_RATE_LIMIT),
    logLevel: env.LANEKEEPER_LOG_LEVEL ?? 'info',
    logFormat: env.LANEKEEPER_LOG_FORMAT ?? 'json',
    notify: env.LANEKEEPER_NOTIFY ?? 'listen',
    trustedProxies: wordsOf(env.LANEKEEPER_TRUSTED_PROXIES),
    forwardedHeader: env.LANEKEEPER_FORWARDED_HEADER ?? 'x-forwarded-for',
    slowStatementMs: Number(env.LANEKEEPER_SLOW_STATEMENT_MS ?? SLOW_STATEMENT_MS_DEFAULT),
    auditDays: Number(env.LANEKEEPER_AUDIT_DAYS ?? AUDIT_DAYS_DEFAULT),
  });
}

/** Variables of our name that others read: the command line, what workers start, the tests of this repository. */
const OF_OTHERS =
  /^LANEKEEPER_(TOKEN|TOKEN_FILE|URL|BOARD|PROFILE|LANE|TASK_ID|RUN_ID|ATTEMPT|STEERING_FILE|SUPERVISOR|SYNTHESIZE_KEY|ORIGIN|NO_BUILD|OTHER_POSTGRES|PARTITIONED|UPGRADE_FROM|REQUIRE_\w+|FUZZ_\w+|MODEL_\w+)$/;

/** Names that begin like a setting of ours and are none, mistyped perhaps: without a word they would leave something unset. */
export function listUnknownSettings(
  environment: Readonly<Record<string, string | undefined>> = process.env,
): string[] {
  const known = new Set([...Object.keys(Environment.shape), ...Object.values(SECRET_FILES)]);
  return Object.keys(environment)
    .filter((name) => name.startsWith('LANEKEEPER_') && !known.has(name) && !OF_OTHERS.test(name))
    .sort();
}

function wordsOf(list: string | undefined): string[] {
  return (list ?? '')
    .split(',')
    .map((word) => word.trim())
    .filter((word) => word !== '');
}
