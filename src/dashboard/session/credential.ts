/**
 * Where the key of this tab is kept: in memory and in sessionStorage, which ends with the tab and is not shared with others. Never in a
 * cookie, never in localStorage, never in the address.
 */
const STORAGE_KEY = 'lanekeeper.key';

export function readKey(): string | null {
  try {
    return sessionStorage.getItem(STORAGE_KEY);
  } catch {
    // Storage is forbidden here: the key then lives as long as the page.
    return null;
  }
}

export function keepKey(key: string | null): void {
  try {
    if (key === null) sessionStorage.removeItem(STORAGE_KEY);
    else sessionStorage.setItem(STORAGE_KEY, key);
  } catch {
    // As above.
  }
}

/** The one-time code that the page was opened with; taken out of the address at once, so that it is in no history. */
export function takeCode(): string | null {
  const code = new URLSearchParams(location.hash.slice(1)).get('code');
  if (code !== null) history.replaceState(null, '', location.pathname + location.search);
  return code;
}
