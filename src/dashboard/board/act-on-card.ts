/**
 * An action on a single card. A card moves when the log says so: until then it says what was asked for, and when it was refused, why, in its
 * place. Each action has its own end, so that what is refused stands on its card however many are under way.
 */
import type { Card } from '../live/card.ts';
import type { TaskAction } from '../task/actions.ts';
import type { PerformTaskAction } from '../task/use-task-action.ts';
import { problemText } from '../ui/problem.tsx';
import type { Desk, Note } from './desk.ts';

/** After so long without a word from the log the card stops saying that it waits: the action changed nothing that the log tells. */
const PENDING_MS = 10_000;
/** Long enough to be read; the notice stays until it is put away. */
const REFUSED_MS = 30_000;

export async function actOnCard(
  desk: Desk,
  perform: PerformTaskAction,
  action: TaskAction,
  card: Card,
): Promise<void> {
  const { id, version } = card;
  const pending: Note = { kind: 'pending', text: `${action.label} …`, version };
  desk.note(id, null);
  const end = await perform(action, card, () => desk.note(id, pending));
  if (end.type === 'done') forgetLater(desk, id, pending, PENDING_MS);
  if (end.type !== 'refused') return;
  const refused: Note = { kind: 'refused', text: `${action.label}: ${problemText(end.error)}`, version };
  desk.note(id, refused);
  forgetLater(desk, id, refused, REFUSED_MS);
}

/** Unless the card says something else by then. */
function forgetLater(desk: Desk, id: string, note: Note, afterMs: number): void {
  setTimeout(() => {
    if (desk.read().notes.get(id) === note) desk.note(id, null);
  }, afterMs);
}
