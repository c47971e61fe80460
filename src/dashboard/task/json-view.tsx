/** A JSON value to look into: what is closed is not built, what is long is cut, and everything can be copied whole. */
import './json-view.css';
import { type ReactNode, useState } from 'react';
import { Button } from '../ui/button.tsx';
import { CopyButton } from '../ui/copy-button.tsx';
import { ENTRIES_SHOWN, entriesOf, isEmptyJson, previewOf, shapeOf, TEXT_SHOWN } from './json-tree.ts';

interface JsonViewProps {
  readonly title: string;
  readonly value: unknown;
  readonly isOpen?: boolean;
}

/** Levels that stand open at first. */
const OPEN_LEVELS = 1;

/** Nothing at all for null, {} and []. */
export function JsonView({ title, value, isOpen = false }: JsonViewProps): ReactNode {
  const [open, setOpen] = useState(isOpen);
  if (isEmptyJson(value)) return null;
  const shape = shapeOf(value);
  return (
    <details className="task-json" open={open} onToggle={(event) => setOpen(event.currentTarget.open)}>
      <summary>
        {title} {shape.type === 'tree' && <span className="muted mono">{previewOf(shape)}</span>}
      </summary>
      {open && (
        <div className="task-json-body">
          <CopyButton text={JSON.stringify(value, null, 2)} label={`Copy ${title.toLowerCase()}`} />
          {shape.type === 'tree' ? <Entries value={value} level={1} /> : <Leaf value={value} />}
        </div>
      )}
    </details>
  );
}

function Entries({ value, level }: { readonly value: unknown; readonly level: number }): ReactNode {
  const [shown, setShown] = useState(ENTRIES_SHOWN);
  const shape = shapeOf(value);
  const count = shape.type === 'tree' ? shape.count : 0;
  return (
    <ul className="task-json-entries">
      {entriesOf(value, shown).map((entry) => (
        <li key={entry.name}>
          <Entry name={entry.name} value={entry.value} level={level} />
        </li>
      ))}
      {count > shown && (
        <li>
          <Button size="small" onClick={() => setShown(shown + ENTRIES_SHOWN)}>
            {count - shown} more
          </Button>
        </li>
      )}
    </ul>
  );
}

interface EntryProps {
  readonly name: string;
  readonly value: unknown;
  readonly level: number;
}

function Entry({ name, value, level }: EntryProps): ReactNode {
  const [open, setOpen] = useState(level <= OPEN_LEVELS);
  const shape = shapeOf(value);
  if (shape.type === 'leaf' || shape.count === 0)
    return (
      <>
        <span className="task-json-name">{name}</span>{' '}
        {shape.type === 'leaf' ? <Leaf value={value} /> : <span>{previewOf(shape)}</span>}
      </>
    );
  return (
    <details open={open} onToggle={(event) => setOpen(event.currentTarget.open)}>
      <summary>
        <span className="task-json-name">{name}</span> <span className="muted">{previewOf(shape)}</span>
      </summary>
      {open && <Entries value={value} level={level + 1} />}
    </details>
  );
}

function Leaf({ value }: { readonly value: unknown }): ReactNode {
  const [isWhole, setWhole] = useState(false);
  const shape = shapeOf(value);
  if (shape.type !== 'leaf') return null;
  const { text, kind } = shape;
  const isCut = !isWhole && text.length > TEXT_SHOWN;
  return (
    <>
      <span className={`wrap task-json-${kind}`}>
        {text === '' ? '""' : text.slice(0, isWhole ? undefined : TEXT_SHOWN)}
      </span>
      {isCut && (
        <Button size="small" onClick={() => setWhole(true)}>
          {text.length - TEXT_SHOWN} more characters
        </Button>
      )}
    </>
  );
}
