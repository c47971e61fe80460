/** Whether the window is as narrow as a phone's; the number is that of the style sheets. */
import { useSyncExternalStore } from 'react';

const PHONE = '(max-width: 720px)';

function subscribe(listener: () => void): () => void {
  const query = matchMedia(PHONE);
  query.addEventListener('change', listener);
  return () => query.removeEventListener('change', listener);
}

export function usePhone(): boolean {
  return useSyncExternalStore(subscribe, () => matchMedia(PHONE).matches);
}
