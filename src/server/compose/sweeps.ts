/** What runs by itself on every server, and what is waited for when it stops. */
import { randomInt } from 'node:crypto';
import { isReadOnlyServer } from '../db/failures.ts';
import { forgetOldAnswers } from '../db/remembered-answers.ts';
import { PresenceEdges } from '../features/lanes/service.ts';
import { Pruner } from '../features/retention/service.ts';
import { LogCounting } from '../features/stats/service.ts';
import { readDatabaseMs } from '../features/system/service.ts';
import { Scheduler } from '../features/tasks/service.ts';
import type { Base } from './base.ts';
import type { Services } from './services.ts';

/** Sweeps: the scheduler's promise is a second, the reaper's two. */
const SCHEDULER_INTERVAL_MS = 500;
const REAPER_INTERVAL_MS = 500;
/** A quarter of the gap that counts as an outage. */
const PULSE_INTERVAL_MS = 500;
const DRAIN_SWEEP_INTERVAL_MS = 500;
/** The promise is that a lane is said to be online within two seconds. */
const PRESENCE_INTERVAL_MS = 1000;
const FORGET_WORKERS_INTERVAL_MS = 60_000;
/** A wait of minutes is reported within seconds. */
const STRANDED_INTERVAL_MS = 2000;
/** Between two sweeps of a long operation the others of the server have the database; a short one is done in some 100 ms. */
const BULK_INTERVAL_MS = 200;
/** A webhook is for machines that do not wait; nobody sees the difference. */
const WEBHOOK_INTERVAL_MS = 200;
/** A model takes seconds for a reply. */
const SYNTHESIS_INTERVAL_MS = 200;
/** A deadline is kept within a second. */
const DELEGATION_INTERVAL_MS = 500;
/** What two who do not see each other leave undecided is rare, and a minute late at most where a few thousand delegations run. */
const STUCK_INTERVAL_MS = 1000;
/** Of two sockets with one worker name the older is closed within a second, wherever it is. */
const ATTENDANCE_INTERVAL_MS = 500;
/** A twentieth of the time that a pushed claim has for its claim_ack. */
const PUSH_INTERVAL_MS = 250;
/** With the authenticator's window this keeps a revoked key's sockets, streams and waits under a second. */
const REVOCATION_INTERVAL_MS = 250;
/** A chart that somebody watches is redrawn about as often. */
const STATS_INTERVAL_MS = 5000;
const OLD_MINUTES_INTERVAL_MS = 60_000;
/** Refusals are summed up for as long: features/audit/refusals.ts. */
const REFUSALS_INTERVAL_MS = 10_000;
const OLD_AUDIT_INTERVAL_MS = 60_000;
/** What is kept for a second is gone within two; with nothing due it is a look at an index. */
const PRUNING_INTERVAL_MS = 250;
const CLOCK_INTERVAL_MS = 30_000;
const SIGNING_KEY_INTERVAL_MS = 60_000;
const FORGET_INTERVAL_MS = 60_000;

/** Everything that runs by itself, on every server: locks are skipped, so there is no leader to lose. */
export function startSweeps(
  { lifecycle, wake, clock, database, signingKeys, metrics }: Base,
  services: Services,
): void {
  const { creation, claiming, running, presence, reaper, outages, lanes, boards, sessions, pushing } =
    services;
  const woken = wake.run(lifecycle.signal);
  // Behind what is gathered: the other servers hear of that, too.
  lifecycle.onStop('wake', async () => {
    await woken;
    await wake.close();
  });
  lifecycle.onStop('gathered work', async () => {
    await Promise.all([creation.drain(), claiming.drain(), running.drain(), services.outputs.drain()]);
    await services.attendance.drain();
    await services.departures.drain();
    await services.webhooks.drain();
    await presence.flush();
    await services.journal.drain();
  });
  const scheduler = new Scheduler({ sql: database.sweeps, wake });
  lifecycle.every('scheduler', SCHEDULER_INTERVAL_MS, (signal) => scheduler.sweep(signal));
  lifecycle.every('pulse', PULSE_INTERVAL_MS, async (signal) => {
    try {
      await outages.beat(signal);
    } catch (error) {
      // It writes twice a second, so it is the first to know.
      if (isReadOnlyServer(error)) database.leaveReadOnly();
      throw error;
    }
  });
  lifecycle.every('reaper', REAPER_INTERVAL_MS, (signal) => reaper.sweep(signal));
  lifecycle.every('drained lanes', DRAIN_SWEEP_INTERVAL_MS, () =>
    lanes.pauseDrainedLanes((id) => boards.resolveId(id)),
  );
  const edges = new PresenceEdges({ sql: database.sweeps, wake, presence });
  lifecycle.every('presence', PRESENCE_INTERVAL_MS, (signal) => edges.sweep(signal));
  lifecycle.every('workers long gone', FORGET_WORKERS_INTERVAL_MS, () => presence.forgetLongGone());
  lifecycle.every('stranded tasks', STRANDED_INTERVAL_MS, (signal) => services.stranded.sweep(signal));
  lifecycle.every('delegations', DELEGATION_INTERVAL_MS, (signal) => services.delegationSweep.sweep(signal));
  lifecycle.every('stuck delegations', STUCK_INTERVAL_MS, (signal) =>
    services.stuckDelegations.sweep(signal),
  );
  lifecycle.every('webhooks', WEBHOOK_INTERVAL_MS, (signal) => services.webhooks.sweep(signal));
  lifecycle.every('synthesis', SYNTHESIS_INTERVAL_MS, (signal) => services.synthesis.sweep(signal));
  lifecycle.every('bulk operations', BULK_INTERVAL_MS, (signal) => services.bulkRunner.sweep(signal));
  lifecycle.every('operations long done', FORGET_INTERVAL_MS, (signal) =>
    services.bulkRunner.forgetOld(signal),
  );
  lifecycle.every('attendance', ATTENDANCE_INTERVAL_MS, async () => {
    services.departures.sweep();
    await services.attendance.sweep();
  });
  lifecycle.every('push', PUSH_INTERVAL_MS, async () => pushing.sweep());
  lifecycle.every('revoked waits', REVOCATION_INTERVAL_MS, () => services.waitingRequests.refuseRevoked());
  lifecycle.every('revoked sockets', REVOCATION_INTERVAL_MS, () => sessions.closeRevoked());
  lifecycle.every('revoked streams', REVOCATION_INTERVAL_MS, () => services.streams.closeRevoked());
  const counting = new LogCounting(database.cold);
  lifecycle.every('statistics', STATS_INTERVAL_MS, (signal) => counting.sweep(signal));
  lifecycle.every('old minutes', OLD_MINUTES_INTERVAL_MS, () => counting.forgetOld());
  lifecycle.every('refusals', REFUSALS_INTERVAL_MS, () => services.journal.writeRefusals());
  lifecycle.every('old audit entries', OLD_AUDIT_INTERVAL_MS, (signal) => services.journal.prune(signal));
  const pruner = new Pruner({
    sql: database.cold,
    wake,
    onPruned: (kind, rows) => metrics.pruned.inc({ kind }, rows),
  });
  lifecycle.every('pruning', PRUNING_INTERVAL_MS, (signal) => pruner.sweep(signal));
  lifecycle.every('clock', CLOCK_INTERVAL_MS, () => clock.measure(() => readDatabaseMs(database.cold)));
  lifecycle.every('signing keys', SIGNING_KEY_INTERVAL_MS, () => signingKeys.maintain());
  const forgetIntervalMs = FORGET_INTERVAL_MS + randomInt(FORGET_INTERVAL_MS);
  lifecycle.every('remembered answers', forgetIntervalMs, () => forgetOldAnswers(database.cold));
}
