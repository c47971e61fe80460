/** The inbox: all that waits for a person, oldest first. An entry goes when it is resolved, here or anywhere else. */
import { type ReactNode, useEffect, useRef, useState } from 'react';
import { useLocation } from 'wouter';
import { useShortcut } from '../keyboard/shortcuts.tsx';
import { useClient } from '../live/live-context.tsx';
import { useAddressFields } from '../shell/address-fields.ts';
import { useAttention } from '../shell/attention-count.ts';
import { linkToLane, linkToTask } from '../shell/links.ts';
import { ChoiceBar } from '../ui/choice-bar.tsx';
import { EmptyState } from '../ui/empty-state.tsx';
import { PageHeader } from '../ui/page-header.tsx';
import { Problem } from '../ui/problem.tsx';
import './attention.css';
import { domIdOf, Entry } from './attention-entry.tsx';
import { type AttentionEntry, CODE_WORDS, groupsOf, keyAfter, keyOf } from './attention-words.ts';

export function AttentionPage(): ReactNode {
  const { data, error, refetch } = useAttention();
  const [read, change] = useAddressFields();
  const code = read('code');
  const all = data?.attention ?? [];
  const shown = code === '' ? all : all.filter((entry) => entry.code === code);
  const isTruncated = data?.truncated === true;
  return (
    <>
      <PageHeader title="Needs attention" />
      <Problem error={error} />
      {(all.length > 0 || code !== '') && (
        <ChoiceBar
          label="Show"
          value={code}
          onChoose={(value) => change({ code: value })}
          choices={[
            { value: '', label: 'All', count: isTruncated ? `${all.length}+` : all.length },
            ...groupsOf(all, code).map((group) => ({
              value: group.code,
              label: CODE_WORDS[group.code].label,
              count: group.count,
            })),
          ]}
        />
      )}
      {data !== undefined && shown.length === 0 && <NothingWaits isFiltered={all.length > 0} />}
      <Inbox entries={shown} onDone={() => void refetch()} />
      {isTruncated && (
        <p className="show-more muted">
          These are the {all.length} oldest; there are more. They come up as these are resolved.
        </p>
      )}
    </>
  );
}

function NothingWaits({ isFiltered }: { readonly isFiltered: boolean }): ReactNode {
  if (isFiltered) return <EmptyState title="Nothing of this kind needs you." />;
  return (
    <EmptyState title="Nothing needs you">
      <p>
        Blocked tasks, work that waits for review or triage, lanes without a worker and claims that have gone
        silent come up here by themselves.
      </p>
    </EmptyState>
  );
}

interface InboxProps {
  readonly entries: readonly AttentionEntry[];
  readonly onDone: () => void;
}

function Inbox({ entries, onDone }: InboxProps): ReactNode {
  const [selected, setSelected] = useState<string | null>(null);
  const keys = entries.map(keyOf);
  useKeptPlace(keys, selected, setSelected);
  useInboxKeys(entries, selected);
  if (entries.length === 0) return null;
  return (
    <ol className="attention-list">
      {entries.map((entry) => (
        <Entry
          key={keyOf(entry)}
          entry={entry}
          isSelected={keyOf(entry) === selected}
          onSelect={setSelected}
          onDone={onDone}
        />
      ))}
    </ol>
  );
}

const focusOn = (key: string | null): void => {
  if (key !== null) document.getElementById(domIdOf(key))?.focus();
};

function useInboxKeys(entries: readonly AttentionEntry[], selected: string | null): void {
  const { board } = useClient();
  const [, navigate] = useLocation();
  const keys = entries.map(keyOf);
  const step = (by: 1 | -1) => (): void => focusOn(keyAfter(keys, selected, by));
  const open = (): void => {
    const entry = entries.find((each) => keyOf(each) === selected);
    if (entry?.task !== undefined) navigate(`~${linkToTask(board, entry.task.id)}`);
    else if (entry?.lane !== undefined) navigate(`~${linkToLane(board, entry.lane)}`);
  };
  const isSome = entries.length > 0;
  useShortcut({ keys: 'j', label: 'Next', group: 'View', act: step(1) }, isSome);
  useShortcut({ keys: 'k', label: 'Previous', group: 'View', act: step(-1) }, isSome);
  useShortcut({ keys: 'Enter', label: 'Open', group: 'View', act: open }, selected !== null);
}

/** When the entry with the focus is resolved, the keyboard goes on from the one that took its place. */
function useKeptPlace(
  keys: readonly string[],
  selected: string | null,
  select: (key: string | null) => void,
): void {
  const before = useRef<readonly string[]>([]);
  useEffect(() => {
    const index = selected === null ? -1 : before.current.indexOf(selected);
    before.current = keys;
    if (selected === null || keys.includes(selected)) return;
    const next = keys[Math.min(Math.max(0, index), keys.length - 1)] ?? null;
    select(next);
    // Whoever has gone on to something else is left there.
    if (document.activeElement === document.body) focusOn(next);
  }, [keys, selected, select]);
}
