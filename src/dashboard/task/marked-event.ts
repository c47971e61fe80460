/** The event that the address points at. */
import { useEffect, useState } from 'react';
import { seqOfHash } from './timeline-rows.ts';

/** Also when a link within the page changes it. */
export function useMarkedSeq(): number | null {
  const [seq, setSeq] = useState(() => seqOfHash(location.hash));
  useEffect(() => {
    const read = (): void => setSeq(seqOfHash(location.hash));
    window.addEventListener('hashchange', read);
    return () => window.removeEventListener('hashchange', read);
  }, []);
  return seq;
}
