/** What can be done with all that is selected, and how far an operation on many tasks has come. */
import type { ReactNode } from 'react';
import { Link } from 'wouter';
import type { Card } from '../live/card.ts';
import { useClient } from '../live/live-context.tsx';
import { useSession } from '../session/session-context.tsx';
import { linkToTask } from '../shell/links.ts';
import { Button } from '../ui/button.tsx';
import { Menu } from '../ui/menu.tsx';
import { Problem } from '../ui/problem.tsx';
import { type BulkOffer, offersFor } from './bulk.ts';
import type { Bulk } from './bulk-context.tsx';
import type { BulkRun } from './bulk-run.ts';
import { isUnderWay } from './bulk-works.ts';
import './bulk.css';

interface BulkBarProps {
  readonly cards: readonly Card[];
  readonly bulk: Bulk;
  readonly onStart: (offer: BulkOffer) => void;
  readonly onClear: () => void;
}

/** As buttons; the others are in a menu. */
const BUTTONS_MAX = 3;

export function BulkBar({ cards, bulk, onStart, onClear }: BulkBarProps): ReactNode {
  const { may } = useSession();
  const { current } = bulk;
  const isBusy = isUnderWay(current);
  const offers = offersFor(cards, may);
  if (cards.length === 0 && current === null) return null;
  const name = ({ action, count }: BulkOffer): string =>
    count === cards.length ? action.label : `${action.label} (${count})`;
  return (
    <section className="board-bulk" aria-label="Selected tasks">
      {cards.length > 0 && (
        <div className="board-bulk-row">
          <strong data-selected={cards.length}>{cards.length.toLocaleString()} selected</strong>
          {offers.slice(0, BUTTONS_MAX).map((offer) => (
            <Button
              key={offer.action.name}
              size="small"
              disabled={isBusy}
              tone={offer.action.isDestructive === true ? 'danger' : 'plain'}
              onClick={() => onStart(offer)}
            >
              {name(offer)}
            </Button>
          ))}
          {offers.length > BUTTONS_MAX && !isBusy && (
            <Menu
              label="More ▾"
              name="More actions for the selected tasks"
              className="button small"
              items={offers.slice(BUTTONS_MAX).map((offer) => ({
                label: name(offer),
                isDestructive: offer.action.isDestructive === true,
                onSelect: () => onStart(offer),
              }))}
            />
          )}
          <Button size="small" tone="ghost" onClick={onClear}>
            Clear <kbd>Esc</kbd>
          </Button>
        </div>
      )}
      {current !== null && <BulkProgress run={current} bulk={bulk} />}
    </section>
  );
}

const STATE_WORDS: Readonly<Record<BulkRun['state'], string>> = {
  running: '',
  cancelling: 'stopping …',
  done: 'done',
  stopped: 'stopped',
};

function BulkProgress({ run, bulk }: { readonly run: BulkRun; readonly bulk: Bulk }): ReactNode {
  const { board } = useClient();
  const { label, total, succeeded, failedCount, failed, unbegunCount, state, error } = run;
  const isOver = !isUnderWay(run);
  return (
    <div className="board-bulk-progress" data-bulk={state}>
      <div className="board-bulk-row" role="status">
        <span>
          {label}: {succeeded.toLocaleString()} of {total.toLocaleString()}
          {failedCount > 0 && `, ${failedCount.toLocaleString()} refused`} {STATE_WORDS[state]}
        </span>
        <progress value={succeeded + failedCount} max={total} aria-label={label} />
        {isOver ? (
          <Button size="small" onClick={bulk.dismiss}>
            Put away
          </Button>
        ) : (
          <Button size="small" disabled={state === 'cancelling'} onClick={bulk.cancel}>
            Stop
          </Button>
        )}
      </div>
      {unbegunCount > 0 && unbegunCount < total && (
        <p className="small muted">
          Keep this tab open: {unbegunCount.toLocaleString()} of them are not begun yet. Its pages may be
          left.
        </p>
      )}
      <Problem error={error} />
      {failed.length > 0 && (
        <details open={isOver}>
          <summary>
            {failedCount.toLocaleString()} refused
            {failed.length < failedCount && `, the first ${failed.length} of them`}
          </summary>
          <ul className="board-bulk-failures">
            {failed.map(({ id, code }) => (
              <li key={id}>
                <Link href={`~${linkToTask(board, id)}`} className="mono">
                  {id}
                </Link>{' '}
                {code}
              </li>
            ))}
          </ul>
        </details>
      )}
    </div>
  );
}
