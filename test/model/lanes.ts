/** The lanes of the boards that are played through, each with how many claims it may hold. */
export const LANES = ['build', 'check', 'desk'] as const;
/** One of them under a cap. */
export const CAPS: ReadonlyMap<string, number | null> = new Map([
  ['build', null],
  ['check', null],
  ['desk', 2],
]);
