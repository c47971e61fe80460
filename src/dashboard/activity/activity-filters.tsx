/** The filters of the log: kinds by group, lane, task, actor and words. */
import { type ReactNode, useEffect, useId, useRef, useState } from 'react';
import { useBoardView } from '../live/live-context.tsx';
import type { EventKind } from '../task/timeline-words.ts';
import { Button } from '../ui/button.tsx';
import { type ActivityFilter, KIND_GROUPS, type KindGroup } from './activity-filter.ts';

interface ActivityFiltersProps {
  readonly filter: ActivityFilter;
  readonly onChange: (change: Partial<ActivityFilter>) => void;
}

export function ActivityFilters({ filter, onChange }: ActivityFiltersProps): ReactNode {
  const { lanes } = useBoardView();
  const lanesId = useId();
  const isNarrow =
    filter.lane !== '' || filter.task !== '' || filter.actor !== '' || filter.text !== '' || filter.at !== '';
  return (
    <search className="activity-filters">
      <div className="activity-fields">
        <TextField
          label="Lane"
          value={filter.lane}
          listId={lanesId}
          onChange={(lane) => onChange({ lane })}
        />
        <datalist id={lanesId}>
          {[...lanes.keys()].map((name) => (
            <option key={name} value={name} />
          ))}
        </datalist>
        <TextField label="Task" value={filter.task} onChange={(task) => onChange({ task })} />
        <TextField label="Actor" value={filter.actor} onChange={(actor) => onChange({ actor })} />
        <TextField label="Text" value={filter.text} onChange={(text) => onChange({ text })} />
        {isNarrow && (
          <Button onClick={() => onChange({ lane: '', task: '', actor: '', text: '', at: '' })}>Clear</Button>
        )}
      </div>
      <fieldset className="activity-kinds">
        <legend className="visually-hidden">Kinds of events</legend>
        {KIND_GROUPS.map((group) => (
          <GroupBox
            key={group.name}
            group={group}
            kinds={filter.kinds}
            onChange={(kinds) => onChange({ kinds })}
          />
        ))}
      </fieldset>
      <details className="activity-single">
        <summary>Single kinds</summary>
        <fieldset className="activity-kinds">
          <legend className="visually-hidden">Single kinds</legend>
          {KIND_GROUPS.flatMap(({ kinds }) => kinds).map((kind) => (
            <label key={kind} className="activity-kind mono">
              <input
                type="checkbox"
                checked={filter.kinds.has(kind)}
                onChange={({ target }) =>
                  onChange({ kinds: withKinds(filter.kinds, [kind], target.checked) })
                }
              />
              {kind}
            </label>
          ))}
        </fieldset>
      </details>
    </search>
  );
}

function withKinds(
  kinds: ReadonlySet<EventKind>,
  some: readonly EventKind[],
  isWanted: boolean,
): ReadonlySet<EventKind> {
  const changed = new Set(kinds);
  for (const kind of some) {
    if (isWanted) changed.add(kind);
    else changed.delete(kind);
  }
  return changed;
}

interface GroupBoxProps {
  readonly group: KindGroup;
  readonly kinds: ReadonlySet<EventKind>;
  readonly onChange: (kinds: ReadonlySet<EventKind>) => void;
}

function GroupBox({ group, kinds, onChange }: GroupBoxProps): ReactNode {
  const box = useRef<HTMLInputElement>(null);
  const count = group.kinds.filter((kind) => kinds.has(kind)).length;
  const isAll = count === group.kinds.length;
  useEffect(() => {
    if (box.current !== null) box.current.indeterminate = count > 0 && !isAll;
  }, [count, isAll]);
  return (
    <label className="activity-kind">
      <input
        ref={box}
        type="checkbox"
        checked={isAll}
        onChange={() => onChange(withKinds(kinds, group.kinds, !isAll))}
      />
      {group.label}
    </label>
  );
}

interface TextFieldProps {
  readonly label: string;
  readonly value: string;
  readonly listId?: string;
  readonly onChange: (text: string) => void;
}

/** The address, and with it the log, follows when somebody stops typing. */
const TYPING_MS = 300;

function TextField({ label, value, listId, onChange }: TextFieldProps): ReactNode {
  const id = useId();
  const [text, setText] = useState(value);
  const timer = useRef<ReturnType<typeof setTimeout> | undefined>(undefined);
  /** What the address has, as far as this field knows. */
  const known = useRef(value);
  useEffect(() => {
    // Not what was typed here, of which the address has no space at the end: something else changed it, e.g. the way back.
    if (value === known.current) return;
    known.current = value;
    clearTimeout(timer.current);
    setText(value);
  }, [value]);
  useEffect(() => () => clearTimeout(timer.current), []);
  const say = (next: string, waitMs: number): void => {
    setText(next);
    clearTimeout(timer.current);
    timer.current = setTimeout(() => {
      known.current = next.trim();
      onChange(known.current);
    }, waitMs);
  };
  return (
    <div className="activity-field">
      <label htmlFor={id}>{label}</label>
      <input
        id={id}
        type="search"
        list={listId}
        value={text}
        onChange={({ target }) => say(target.value, TYPING_MS)}
        onKeyDown={({ key, currentTarget }) => {
          if (key === 'Enter') say(currentTarget.value, 0);
        }}
      />
    </div>
  );
}
