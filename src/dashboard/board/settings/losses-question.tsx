/** What is asked before history goes: what of it, and that it goes for good. */
import type { Question } from '../../ui/question.ts';
import type { Loss } from './settings-draft.ts';

export function lossesQuestion(losses: readonly Loss[]): Question {
  return {
    title: 'Delete older history for good?',
    text: (
      <>
        <p>This is deleted, soon after you save and from then on:</p>
        <ul className="board-settings-losses">
          {losses.map(({ pointer, what, before, after }) => (
            <li key={pointer}>
              {what}: what is older than <strong>{after}</strong> (kept until now: {before})
            </li>
          ))}
        </ul>
        <p>It cannot be taken back. Only a backup from before has it then.</p>
      </>
    ),
    action: 'Save and delete',
    isDestructive: true,
  };
}
