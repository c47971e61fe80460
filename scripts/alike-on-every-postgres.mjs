// What the second run of CI, on the oldest supported Postgres, leaves out: database tests that have just passed on another Postgres, are
// expensive, and whose outcome is decided before a statement is sent or after its answer has come. Whatever asks something of the
// database itself stays in both runs: migrations, plans and pages, locks, races, the order of the log, imports, outages, searches. A new
// test is in both runs until it is named here, with the reason.

import { existsSync } from 'node:fs';
import { join } from 'node:path';

/** Files only: what is put into a folder later has not been thought about here. */
const ALIKE = [
  // What is refused as no frame or no token at all, before any statement, and what stands around every answer. Who may do what is asked of the
  // database and stays in both: the matrix, foreign names, frames, revoked keys, secrets.
  'test/security/claim-token.pg.test.ts',
  'test/security/frame-fuzz.pg.test.ts',
  'test/security/headers.pg.test.ts',
  // The bytes of HTTP and of WebSockets, what is held in memory for them, and whose turn it is.
  'test/server/ws/raw-frames-upgrade.pg.test.ts',
  'test/server/ws/raw-frames.pg.test.ts',
  'test/server/http/bad-address.pg.test.ts',
  'test/server/http/bindings.pg.test.ts',
  'test/server/http/event-stream.pg.test.ts',
  'test/server/http/held-bodies.pg.test.ts',
  'test/server/http/request-turns.pg.test.ts',
  'test/server/features/auth/rate-limit.pg.test.ts',
  'test/server/features/watch/limits.pg.test.ts',
  'test/server/features/watch/slow-watcher.pg.test.ts',
  'test/server/features/watch/socket.pg.test.ts',
  'test/server/features/watch/upgrade.pg.test.ts',
  // Which socket an offer goes to, and what becomes of it when the socket closes. That no two get one task is in push-race.
  'test/server/features/claims/attendance.pg.test.ts',
  'test/server/features/claims/beat-flood.pg.test.ts',
  'test/server/features/claims/crash-on-disconnect.pg.test.ts',
  'test/server/features/claims/push-delivery.pg.test.ts',
  'test/server/features/claims/push-ends.pg.test.ts',
  'test/server/features/claims/push-example.pg.test.ts',
  'test/server/features/claims/push.pg.test.ts',
  // Our own driver of the protocol, which is the same for all of them.
  'test/server/db/counted-rows.pg.test.ts',
  'test/server/db/driver.pg.test.ts',
  // Files of the dashboard, and what it makes of a log: the same log is written and read by the tests of the routes.
  'test/dashboard/live/fold.pg.test.ts',
  'test/server/features/dashboard/serving.pg.test.ts',
  // Which key signs and when: rows that are read and written one by one.
  'test/server/features/auth/signing-keys.pg.test.ts',
  // What a worker, a model or a collector of spans makes of answers; what they ask is asked by the tests of the routes.
  'test/client/worker/handler.pg.test.ts',
  'test/client/worker/push-link.pg.test.ts',
  'test/client/worker/worker.pg.test.ts',
  'test/mcp/attacks.pg.test.ts',
  'test/mcp/principals.pg.test.ts',
  'test/mcp/worker.pg.test.ts',
  'test/server/features/mcp/mcp.pg.test.ts',
  'test/server/features/mcp/orchestrator.pg.test.ts',
  'test/server/features/mcp/runs.pg.test.ts',
  'test/server/observability/spans.pg.test.ts',
  // What is made up from openapi.yaml is answered by rules, and said by schemas, that know no database.
  'test/fuzz/openapi.pg.test.ts',
  // Thousands of random commands, one after the other, for faults of the rules. concurrent.pg.test.ts, with the locks, is in both.
  'test/model/lifecycle.pg.test.ts',
];

/**
 * @param {string} root of the checkout
 * @returns {string[]} paths below it
 */
export function alikeOnEveryPostgres(root) {
  const missing = ALIKE.filter((path) => !path.endsWith('.pg.test.ts') || !existsSync(join(root, path)));
  if (missing.length > 0) throw new Error(`To be left out, but no database test: ${missing.join(', ')}`);
  return ALIKE;
}
