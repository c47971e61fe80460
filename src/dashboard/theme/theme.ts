/** Dark, light, or as the system has it. Kept across visits: it is no secret. */
import { useSyncExternalStore } from 'react';

export const THEMES = ['system', 'light', 'dark'] as const;
export type Theme = (typeof THEMES)[number];

const STORAGE_KEY = 'lanekeeper.theme';

const listeners = new Set<() => void>();
let current = readTheme();
const systemIsDark = window.matchMedia('(prefers-color-scheme: dark)');
systemIsDark.addEventListener('change', tell);

function readTheme(): Theme {
  try {
    const kept = localStorage.getItem(STORAGE_KEY);
    return THEMES.find((theme) => theme === kept) ?? 'system';
  } catch {
    return 'system';
  }
}

function tell(): void {
  for (const listener of listeners) listener();
}

function subscribe(listener: () => void): () => void {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

/** The attribute that the style sheet looks at; before the first paint, so that nothing flashes. */
export function applyTheme(): void {
  if (current === 'system') delete document.documentElement.dataset['theme'];
  else document.documentElement.dataset['theme'] = current;
}

function nextTheme(): void {
  current = THEMES[(THEMES.indexOf(current) + 1) % THEMES.length] ?? 'system';
  applyTheme();
  try {
    localStorage.setItem(STORAGE_KEY, current);
  } catch {
    // Storage is forbidden here: the choice lasts as long as the page.
  }
  tell();
}

/** What was chosen, and the way to the next choice. */
export function useTheme(): readonly [Theme, () => void] {
  return [useSyncExternalStore(subscribe, () => current), nextTheme];
}

/** What is shown, for what is drawn and does not follow the style sheet by itself. */
export function useIsDark(): boolean {
  return useSyncExternalStore(subscribe, () =>
    current === 'system' ? systemIsDark.matches : current === 'dark',
  );
}
