/** The door of the feature: claiming, pushing, running, reaping, taking over, and waiting for work. */
export { Attendance } from './attendance/attendance.ts';
export { Departures } from './attendance/departures.ts';
export { Claiming } from './claiming/claiming.ts';
export { HandingOver } from './claiming/handing-over.ts';
export { Returns } from './claiming/returns.ts';
export { TaskContext } from './claiming/task-context.ts';
export { ClaimWaiters } from './claiming/waiters.ts';
export { Outages } from './limits/outage.ts';
export { Reaper } from './limits/reaper.ts';
export { OutputFeeds } from './output/output-feeds.ts';
export { Outputs } from './output/outputs.ts';
export { CLAIM_ACK_MS, Pushing } from './push/pushing.ts';
export { Reclaiming, reclaimWithin } from './run/reclaiming.ts';
export { Running } from './run/running.ts';
export { Inbox } from './steering/inbox.ts';
export { Signals } from './steering/signals.ts';
export { Takeovers } from './takeover/takeover.ts';
export { TakeoverAllowance } from './takeover/takeover-allowance.ts';
