/** The door of the feature: claiming, running, reaping, and waiting for work. */
export { Claiming } from './claiming.ts';
export { HandingOver } from './handing-over.ts';
export { Reaper } from './reaper.ts';
export { Running } from './running.ts';
export { ClaimWaiters } from './waiters.ts';
