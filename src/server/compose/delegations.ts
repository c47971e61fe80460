/** Delegations and how their outcomes return, constructed and wired. */
import type { BoardService } from '../features/boards/service.ts';
import { Delegating, DelegationService, DelegationSweep } from '../features/delegations/service.ts';
import type { TaskCreation } from '../features/tasks/service.ts';
import type { Base } from './base.ts';

interface DelegationParts {
  readonly boards: BoardService;
  readonly creation: TaskCreation;
}

export function createDelegations({ database, wake, ids }: Base, { boards, creation }: DelegationParts) {
  const subscribing = { subscribeNew: () => Promise.resolve([]) };
  return {
    delegations: new DelegationService({ sql: database.cold, wake, ids }),
    delegating: new Delegating({ ids, boards, creation, subscribing }),
    delegationSweep: new DelegationSweep({ sql: database.sweeps, wake, ids, boards }),
  };
}
