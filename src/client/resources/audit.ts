/** Who did what to the installation and its boards: `client.audit`. Takes an admin key; of some boards, it shows what concerns them. */
import type { QueryOf, ReplyOf } from '../operation-types.ts';
import type { CallOptions, Transport } from '../transport.ts';
import { type Listing, listWhileMore } from './listing.ts';

type AuditPage = ReplyOf<'listAudit'>;

export class Audit {
  readonly #transport: Transport;

  constructor(transport: Transport) {
    this.#transport = transport;
  }

  /**
   * After an entry's number, oldest first (`after` also takes "start", the default); with `before` instead ("now" or a number), newest
   * first. Iterated: to where the log ends then. `cursor_expired`: what follows that number has been deleted by its age, or
   * the number is of a time that a restore took back.
   */
  list(
    query: QueryOf<'listAudit'> = {},
    options?: CallOptions,
  ): Listing<AuditPage, AuditPage['entries'][number]> {
    return listWhileMore(query, (paged) => this.#transport.request('listAudit', { query: paged }, options), {
      rowsOf: (page) => page.entries,
      continuesWith: query.before === undefined ? 'after' : 'before',
    });
  }
}
