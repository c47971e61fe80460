/** How far a worker is, as a bar where it says a share, and in words. */
import type { ReactNode } from 'react';
import { progressText, shareOf } from './progress-words.ts';

export function ProgressBar({ value }: { readonly value: number }): ReactNode {
  const share = shareOf(value);
  return (
    <>
      {share !== null && <progress value={share} max={1} aria-label="Progress" />}{' '}
      <span>{progressText(value)}</span>
    </>
  );
}
