/** How far a worker says it is. It says any rising number; one from 0 to 1 is taken for a share. Pure. */

/** null: a number that is no share. */
export function shareOf(progress: number): number | null {
  return progress >= 0 && progress <= 1 ? progress : null;
}

/** "40 %", or the number as it was said. */
export function progressText(progress: number): string {
  const share = shareOf(progress);
  return share === null ? String(progress) : `${Math.round(share * 100)} %`;
}
