/**
 * Cursors: an opaque position in a board's log. It names the board and the incarnation of its log, so that a cursor of another
 * board, or of a log that a restore has replaced, is told apart from one that is merely old.
 */

export interface CursorPosition {
  readonly boardId: number;
  readonly incarnation: string;
  readonly seq: number;
}

const CURSOR_PATTERN = /^([0-9a-z]{1,7})\.([0-9a-z]{8})\.([0-9a-z]{1,11})$/;

export function formatCursor(position: CursorPosition): string {
  const text = `${position.boardId.toString(36)}.${position.incarnation}.${position.seq.toString(36)}`;
  return Buffer.from(text, 'latin1').toString('base64url');
}

/** null: made up, or not from this server's kind of log. */
export function parseCursor(cursor: string): CursorPosition | null {
  if (!/^[A-Za-z0-9_-]+$/.test(cursor)) return null;
  const match = CURSOR_PATTERN.exec(Buffer.from(cursor, 'base64url').toString('latin1'));
  const [, board, incarnation, seqText] = match ?? [];
  if (board === undefined || incarnation === undefined || seqText === undefined) return null;
  const position = { boardId: Number.parseInt(board, 36), incarnation, seq: Number.parseInt(seqText, 36) };
  // One position has one spelling: anything else was not made by us.
  return Number.isSafeInteger(position.seq) && formatCursor(position) === cursor ? position : null;
}
