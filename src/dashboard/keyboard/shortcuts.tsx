/**
 * Keys of the page. A view names its keys while it is there: one key ("j") or two after each other ("g b"). Nothing happens while somebody
 * types, or while a dialog or a menu is open: its keys are its own. The help lists what is named at the moment, so that it cannot be out of date.
 */
import { createContext, type ReactNode, useContext, useEffect, useMemo, useRef, useState } from 'react';

export interface Shortcut {
  /** As `event.key` has it: "j", "?", "Enter", "Escape"; "g b": one after the other. */
  readonly keys: string;
  readonly label: string;
  readonly group: 'Go to' | 'Board' | 'Task' | 'View';
  readonly act: (event: KeyboardEvent) => void;
}

interface Registry {
  readonly add: (shortcut: () => Shortcut) => () => void;
  readonly all: () => readonly Shortcut[];
}

const RegistryContext = createContext<Registry | null>(null);

/** The second key comes within so long, or it is a first one. */
const SEQUENCE_MS = 1200;

/** What lies above the page, and takes its keys. */
const ABOVE = 'dialog[open], :popover-open';

function isTyping({ target }: KeyboardEvent): boolean {
  return (
    target instanceof HTMLElement &&
    target.closest('input:not([type="checkbox"]), textarea, select, [contenteditable]') !== null
  );
}

/** Enter and space belong to the button or link that has the focus. */
function isPressing({ key, target }: KeyboardEvent): boolean {
  if (key !== 'Enter' && key !== ' ') return false;
  return target instanceof HTMLElement && target.closest('button, a, summary') !== null;
}

export function ShortcutsProvider({ children }: { readonly children: ReactNode }): ReactNode {
  const shortcuts = useRef<(() => Shortcut)[]>([]);
  const registry = useMemo<Registry>(
    () => ({
      add: (shortcut) => {
        shortcuts.current = [...shortcuts.current, shortcut];
        return () => {
          shortcuts.current = shortcuts.current.filter((each) => each !== shortcut);
        };
      },
      all: () => shortcuts.current.map((read) => read()),
    }),
    [],
  );
  useEffect(() => {
    let first = '';
    let firstAtMs = 0;
    const onKeyDown = (event: KeyboardEvent): void => {
      if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing) return;
      if (isTyping(event) || isPressing(event) || document.querySelector(ABOVE) !== null) return;
      const isSecond = performance.now() - firstAtMs < SEQUENCE_MS;
      const keys = isSecond && first !== '' ? `${first} ${event.key}` : event.key;
      first = '';
      // The last that was named is the innermost.
      const found = registry.all().findLast((shortcut) => shortcut.keys === keys);
      if (found !== undefined) {
        event.preventDefault();
        found.act(event);
      } else if (registry.all().some((shortcut) => shortcut.keys.startsWith(`${event.key} `))) {
        first = event.key;
        firstAtMs = performance.now();
      }
    };
    document.addEventListener('keydown', onKeyDown);
    return () => document.removeEventListener('keydown', onKeyDown);
  }, [registry]);
  return <RegistryContext value={registry}>{children}</RegistryContext>;
}

function useRegistry(): Registry {
  const registry = useContext(RegistryContext);
  if (registry === null) throw new Error('Shortcuts are used outside of their provider');
  return registry;
}

/** While the view is there and `isOn`. */
export function useShortcut(shortcut: Shortcut, isOn = true): void {
  const registry = useRegistry();
  const latest = useRef(shortcut);
  useEffect(() => {
    latest.current = shortcut;
  });
  useEffect(() => (isOn ? registry.add(() => latest.current) : undefined), [registry, isOn]);
}

/** What the help shows: as it is when it opens. */
export function useShortcutList(): readonly Shortcut[] {
  const registry = useRegistry();
  const [list] = useState(() => registry.all());
  return list;
}
