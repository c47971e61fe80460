/** The door of the feature: claiming, pushing, running, reaping, and waiting for work. */
export { Claiming } from './claiming.ts';
export { HandingOver } from './handing-over.ts';
export { CLAIM_ACK_MS, Pushing } from './pushing.ts';
export { Reaper } from './reaper.ts';
export { Returns } from './returns.ts';
export { Running } from './running.ts';
export { ClaimWaiters } from './waiters.ts';
