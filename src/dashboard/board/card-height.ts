/**
 * How high a card is, from what it shows: known beforehand, a column of thousands scrolls without measuring one of them. The numbers are those
 * of card.css. Pure.
 */
import type { Card } from '../live/card.ts';

/** Above and below the rows. */
const PADDING_PX = 18;
const TITLE_LINE_PX = 20;
const ROW_PX = 22;
/** Below a card, to the next one. */
export const CARD_GAP_PX = 8;
/** What surely fits into a line of the narrowest column: 200 px at some 7.6 px a letter. */
const TITLE_LINE_LETTERS = 26;

export function titleLines({ title }: Pick<Card, 'title'>): 1 | 2 {
  return title.length > TITLE_LINE_LETTERS ? 2 : 1;
}

export interface CardRows {
  readonly claim: boolean;
  readonly progress: boolean;
  readonly detail: boolean;
  readonly tries: boolean;
  readonly labels: boolean;
}

export function rowsOf(card: Card): CardRows {
  const { claim, status } = card;
  return {
    claim: claim !== null,
    progress: claim !== null && (claim.progress !== null || claim.note !== null || claim.isCancelRequested),
    detail:
      (status === 'blocked' && card.blocked !== null) ||
      (status === 'scheduled' && card.runAtMs !== null) ||
      (status === 'todo' && card.unmetParents > 0) ||
      status === 'review',
    tries: card.attempt > 1 || card.consecutiveFailures > 0,
    labels: Object.keys(card.labels).length > 0,
  };
}

/** Of cards that have not changed: a column of thousands is measured anew with every event on it. */
const known = new WeakMap<Card, number>();

/** With the space below it. */
export function cardHeight(card: Card, hasNote: boolean): number {
  let height = known.get(card);
  if (height === undefined) {
    const rows = Object.values(rowsOf(card)).filter(Boolean).length;
    // The row of id and lane is always there.
    height = PADDING_PX + titleLines(card) * TITLE_LINE_PX + (1 + rows) * ROW_PX + CARD_GAP_PX;
    known.set(card, height);
  }
  return hasNote ? height + ROW_PX : height;
}
