/** What a server of tests takes from the environment. The only reader of it here. */

/** Of a checkout, whose program would otherwise build itself; and what the database of DATABASE_URL was written with. */
const OURS = ['LANEKEEPER_NO_BUILD', 'LANEKEEPER_SECRET'];
/** Meant for another server, or for the very Node process that runs the tests. */
const FOREIGN = /^(LANEKEEPER_.*|PORT|HOST|DATABASE_URL|NODE_OPTIONS|NODE_V8_COVERAGE|NODE_CHANNEL_.*)$/;

export function inheritedEnvironment(): Record<string, string> {
  const kept: Record<string, string> = {};
  for (const [name, value] of Object.entries(process.env)) {
    if (value !== undefined && (OURS.includes(name) || !FOREIGN.test(name))) kept[name] = value;
  }
  return kept;
}

/** Where the tests of this process keep their boards; none: a database of their own. */
export function givenDatabaseUrl(): string | undefined {
  return process.env['DATABASE_URL'] || undefined;
}

/** What the server reads, and its start: a test holds them against both. */
export const SERVER_SETTINGS: readonly string[] = [
  'LANEKEEPER_ADMIN_KEY',
  'LANEKEEPER_ADMIN_KEY_FILE',
  'LANEKEEPER_ALLOWED_ORIGINS',
  'LANEKEEPER_AUDIT_DAYS',
  'LANEKEEPER_DATA_DIR',
  'LANEKEEPER_FORWARDED_HEADER',
  'LANEKEEPER_LOG_FORMAT',
  'LANEKEEPER_LOG_LEVEL',
  'LANEKEEPER_NOTIFY',
  'LANEKEEPER_NO_BUILD',
  'LANEKEEPER_PUBLIC_URL',
  'LANEKEEPER_RATE_LIMIT',
  'LANEKEEPER_SECRET',
  'LANEKEEPER_SECRET_FILE',
  'LANEKEEPER_SLOW_STATEMENT_MS',
  'LANEKEEPER_TRUSTED_PROXIES',
  'LANEKEEPER_WEBHOOK_HOSTS',
];

/** A server does not mind variables that it does not know; a test that meant to set one wants to hear of it. */
export function unknownSettings(settings: Readonly<Record<string, string>>): string[] {
  return Object.keys(settings).filter(
    (name) => name.startsWith('LANEKEEPER_') && !SERVER_SETTINGS.includes(name),
  );
}
