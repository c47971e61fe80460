/** What keeps tasks from running, and what of it a person should know. */
export { Attention } from './attention.ts';
export { StrandedSweep } from './stranded.ts';
export { Why } from './why.ts';
