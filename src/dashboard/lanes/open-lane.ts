/** The lane that is opened stands in the address behind "#", so that a link leads to it and a reload shows the same. */
import { useCallback, useSyncExternalStore } from 'react';

const listeners = new Set<() => void>();

function subscribe(listener: () => void): () => void {
  listeners.add(listener);
  window.addEventListener('hashchange', listener);
  // The router changes the address without the browser saying so.
  window.addEventListener('popstate', listener);
  return () => {
    listeners.delete(listener);
    window.removeEventListener('hashchange', listener);
    window.removeEventListener('popstate', listener);
  };
}

function laneOfAddress(): string {
  try {
    return decodeURIComponent(location.hash.slice(1));
  } catch {
    // Somebody has typed a lone "%".
    return '';
  }
}

/** '' is none. Opening changes the address without a step in the history, and without scrolling. */
export function useOpenLane(): readonly [string, (lane: string) => void] {
  const lane = useSyncExternalStore(subscribe, laneOfAddress);
  const open = useCallback((next: string) => {
    const hash = next === '' ? '' : `#${encodeURIComponent(next)}`;
    history.replaceState(history.state, '', location.pathname + location.search + hash);
    for (const listener of listeners) listener();
  }, []);
  return [lane, open];
}
