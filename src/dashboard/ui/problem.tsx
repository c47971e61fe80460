/** Why something did not work, where it did not work. */
import type { ReactNode } from 'react';
import { LanekeeperError, UnreachableError } from '../../client/index.ts';

/** One sentence for people, and the code to look up. */
export function problemText(error: unknown): string {
  if (error instanceof LanekeeperError) return `${error.detail} (${error.code})`;
  if (error instanceof UnreachableError) return 'The server does not answer. It may not have happened.';
  return error instanceof Error ? error.message : String(error);
}

export function Problem({ error }: { readonly error: unknown }): ReactNode {
  if (error === null || error === undefined) return null;
  return (
    <p className="problem" role="alert">
      {problemText(error)}
    </p>
  );
}
