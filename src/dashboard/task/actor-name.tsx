/** Who did it. Keys are named by id: their names are for admins only. */
import type { ReactNode } from 'react';
import type { Task } from '../../client/index.ts';

type Actor = Task['created_by'];

export function ActorName({ actor: { type, id } }: { readonly actor: Actor }): ReactNode {
  if (type === 'system') return 'the server';
  // An id says by its first letters what it is of.
  return <span className="mono task-actor">{id}</span>;
}
