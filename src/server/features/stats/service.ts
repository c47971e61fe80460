/** What happened on a board lately, for charts. */
export { LogCounting } from './counting.ts';
