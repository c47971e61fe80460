/**
 * Texts and documents that are cut where they are read, for answers that show many of them: what nobody will see is not sent, and not
 * unpacked either where its stored size says enough. A document is whole or left out.
 */
import type { PendingQuery, Runner } from './client.ts';

/** What a list of excerpts may hold. */
export interface ExcerptCaps {
  readonly rows: number;
  /** Of each text. */
  readonly textCharacters: number;
  /** Of each document as Postgres writes it, with a space after each colon and comma. */
  readonly documentCharacters: number;
  /** Of all rows together: the one that goes beyond it is the last. */
  readonly bytes: number;
}

/**
 * A document that is stored in more is too long whatever it holds, and is not unpacked: what takes most bytes for its characters, [0,0,…],
 * takes six for each. What is stored compressed does not tell its length: that is unpacked to be measured, and only what a document may
 * hold at most (256 KiB) bounds it. So whoever reads the documents of many tasks has to look at fewer rows of each.
 */
const STORED_BYTES_PER_CHARACTER = 8;

/** The beginning of a text, by one character too long where it has to be cut. */
export function excerptColumn(sql: Runner, text: PendingQuery, { textCharacters }: ExcerptCaps) {
  return sql`left(${text}, ${textCharacters + 1}::int)`;
}

/** A document as text; null when it is too long, or there is none. */
export function documentColumn(sql: Runner, document: PendingQuery, { documentCharacters }: ExcerptCaps) {
  return sql`CASE
    WHEN pg_column_size(${document}) > ${documentCharacters * STORED_BYTES_PER_CHARACTER}::int THEN NULL
    WHEN length(${document}::text) > ${documentCharacters}::int THEN NULL
    ELSE ${document}::text END`;
}
