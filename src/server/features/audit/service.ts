/** The audit log, for the rest of the server. */
export { bindAudited, refuse, refuseSocket } from './auditing.ts';
export { AuditJournal } from './journal.ts';
