/** The door of the feature: claiming, pushing, running, reaping, taking over, and waiting for work. */
export { Attendance } from './attendance.ts';
export { Claiming } from './claiming.ts';
export { Departures } from './departures.ts';
export { HandingOver } from './handing-over.ts';
export { Inbox } from './inbox.ts';
export { Outages } from './outage.ts';
export { OutputFeeds } from './output-feeds.ts';
export { Outputs } from './outputs.ts';
export { CLAIM_ACK_MS, Pushing } from './pushing.ts';
export { Reaper } from './reaper.ts';
export { Returns } from './returns.ts';
export { Running } from './running.ts';
export { Signals } from './signals.ts';
export { Takeovers } from './takeover.ts';
export { TakeoverAllowance } from './takeover-allowance.ts';
export { ClaimWaiters } from './waiters.ts';
