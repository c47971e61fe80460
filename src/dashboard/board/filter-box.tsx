/** The filter: one box with qualifiers and suggestions, what it was understood as below it, and how much it leaves. */
import {
  type KeyboardEvent,
  type ReactNode,
  useEffect,
  useId,
  useLayoutEffect,
  useRef,
  useState,
} from 'react';
import { useShortcut } from '../keyboard/shortcuts.tsx';
import { useBoardView, useLiveBoard } from '../live/live-context.tsx';
import { Button } from '../ui/button.tsx';
import type { Filter } from './filter/filter.ts';
import { accept, type Suggestion, suggest, valuesOf } from './filter/suggestions.ts';
import { type Term, withoutTerm } from './filter/terms.ts';
import type { ShownBoard } from './shown-columns.ts';
import './filter.css';

interface FilterBoxProps {
  readonly query: string;
  readonly shown: ShownBoard;
  readonly onQuery: (query: string) => void;
  /** What stands beside the count, such as the choice of all that match. */
  readonly children?: ReactNode;
}

/** The board follows while somebody types, but not every letter. */
const SETTLE_MS = 120;

export function FilterBox({ query, shown, onQuery, children }: FilterBoxProps): ReactNode {
  const { filter } = shown;
  return (
    <search className="board-filter">
      <FilterInput query={query} onQuery={onQuery} />
      <FilterTerms query={query} filter={filter} onQuery={onQuery} />
      {filter.problems.map(({ term, reason }) => (
        <p key={term.start} className="warning" role="status">
          <strong>{term.source}</strong> is not applied. {reason}
        </p>
      ))}
      <p className="board-filter-count small muted" data-matching={shown.matching}>
        {filter.isEmpty
          ? `${shown.loaded.toLocaleString()} tasks shown`
          : `${shown.matching.toLocaleString()} of ${shown.loaded.toLocaleString()} tasks match`}
        {children}
      </p>
    </search>
  );
}

/** The text is the box's own while somebody types, and the address's otherwise. */
function useDraft(query: string, onQuery: (query: string) => void) {
  const [draft, setDraft] = useState(query);
  const sent = useRef(query);
  const timer = useRef<ReturnType<typeof setTimeout>>(undefined);
  const tell = useRef(onQuery);
  useEffect(() => {
    // The address may have changed otherwise while somebody types.
    tell.current = onQuery;
  });
  useEffect(() => {
    if (query === sent.current) return;
    sent.current = query;
    clearTimeout(timer.current);
    setDraft(query);
  }, [query]);
  useEffect(() => () => clearTimeout(timer.current), []);
  const change = (text: string, delayMs = SETTLE_MS): void => {
    setDraft(text);
    clearTimeout(timer.current);
    timer.current = setTimeout(() => {
      sent.current = text.trim();
      tell.current(sent.current);
    }, delayMs);
  };
  return [draft, change] as const;
}

function FilterInput({ query, onQuery }: Pick<FilterBoxProps, 'query' | 'onQuery'>): ReactNode {
  const id = useId();
  const input = useRef<HTMLInputElement>(null);
  const [draft, change] = useDraft(query, onQuery);
  const [cursor, setCursor] = useState(0);
  const [isOpen, setOpen] = useState(false);
  const [chosen, setChosen] = useState(-1);
  const suggestions = useSuggestions(draft, cursor, isOpen);
  useShortcut({ keys: '/', label: 'Filter', group: 'Board', act: () => input.current?.focus() });
  const caret = useRef<number | null>(null);
  // Once the new text is in the box, and before the next letter is.
  useLayoutEffect(() => {
    if (caret.current === null) return;
    input.current?.setSelectionRange(caret.current, caret.current);
    caret.current = null;
  });
  const take = (suggestion: Suggestion): void => {
    const [text, at] = accept(draft, cursor, suggestion);
    change(text);
    setCursor(at);
    setChosen(-1);
    caret.current = at;
  };
  const onKeyDown = (event: KeyboardEvent): void => {
    const at = chosen < 0 && event.key === 'ArrowUp' ? suggestions.length : chosen;
    const picked = suggestions[chosen];
    if (event.key === 'Escape') {
      event.preventDefault();
      if (isOpen && suggestions.length > 0) setOpen(false);
      else input.current?.blur();
    } else if (event.key === 'ArrowDown' || event.key === 'ArrowUp') {
      event.preventDefault();
      setOpen(true);
      const count = Math.max(1, suggestions.length);
      setChosen((at + (event.key === 'ArrowDown' ? 1 : -1) + count) % count);
    } else if ((event.key === 'Enter' || event.key === 'Tab') && picked !== undefined && isOpen) {
      event.preventDefault();
      take(picked);
    } else if (event.key === 'Enter') {
      change(draft, 0);
      setOpen(false);
    }
  };
  const isListed = isOpen && suggestions.length > 0;
  return (
    <div className="board-filter-box">
      <input
        ref={input}
        type="text"
        role="combobox"
        aria-label="Filter tasks"
        aria-expanded={isListed}
        aria-controls={`${id}-list`}
        aria-autocomplete="list"
        aria-activedescendant={isListed && chosen >= 0 ? `${id}-${chosen}` : undefined}
        placeholder="Filter: lane:builder status:ready age:>10m …"
        spellCheck={false}
        autoComplete="off"
        autoCapitalize="off"
        value={draft}
        onChange={(event) => {
          change(event.target.value);
          setOpen(true);
          setChosen(-1);
        }}
        onSelect={(event) => setCursor(event.currentTarget.selectionStart ?? 0)}
        onFocus={() => setOpen(true)}
        onBlur={() => setOpen(false)}
        onKeyDown={onKeyDown}
      />
      <kbd title="Press / to filter">/</kbd>
      {isListed && <SuggestionList id={id} suggestions={suggestions} chosen={chosen} onTake={take} />}
    </div>
  );
}

function useSuggestions(draft: string, cursor: number, isOpen: boolean): readonly Suggestion[] {
  const board = useLiveBoard();
  const { lanes } = useBoardView();
  if (!isOpen) return [];
  return suggest(draft, cursor, valuesOf(board.cards(), lanes.keys()));
}

interface SuggestionListProps {
  readonly id: string;
  readonly suggestions: readonly Suggestion[];
  readonly chosen: number;
  readonly onTake: (suggestion: Suggestion) => void;
}

function SuggestionList({ id, suggestions, chosen, onTake }: SuggestionListProps): ReactNode {
  return (
    <div id={`${id}-list`} role="listbox" aria-label="Suggestions" className="board-suggestions">
      {suggestions.map((suggestion, index) => (
        <div
          key={suggestion.text}
          id={`${id}-${index}`}
          role="option"
          tabIndex={-1}
          aria-selected={index === chosen}
          className="board-suggestion"
          // Before the box loses the focus.
          onMouseDown={(event) => {
            event.preventDefault();
            onTake(suggestion);
          }}
        >
          <span className="mono">{suggestion.text}</span>
          <span className="muted small">{suggestion.hint}</span>
        </div>
      ))}
    </div>
  );
}

interface FilterTermsProps {
  readonly query: string;
  readonly filter: Filter;
  readonly onQuery: (query: string) => void;
}

function FilterTerms({ query, filter, onQuery }: FilterTermsProps): ReactNode {
  if (filter.terms.length === 0) return null;
  const isBad = (term: Term): boolean => filter.problems.some((problem) => problem.term === term);
  return (
    <ul className="board-terms" aria-label="Filters">
      {filter.terms.map((term) => (
        <li key={term.start} className={isBad(term) ? 'board-term unknown' : 'board-term'}>
          <span className="mono">{term.source}</span>
          <button
            type="button"
            aria-label={`Remove ${term.source}`}
            onClick={() => onQuery(withoutTerm(query, term))}
          >
            ✕
          </button>
        </li>
      ))}
      <li>
        <Button size="small" tone="ghost" onClick={() => onQuery('')}>
          Clear all
        </Button>
      </li>
    </ul>
  );
}
