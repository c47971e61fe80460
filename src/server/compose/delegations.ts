/** Delegations and how their outcomes return, constructed and wired. */
import { SecretBox } from '../features/auth/service.ts';
import type { BoardService } from '../features/boards/service.ts';
import { Delegating, DelegationService, DelegationSweep } from '../features/delegations/service.ts';
import { DeliveryBells, DeliveryService } from '../features/deliveries/service.ts';
import { SubscriptionService } from '../features/subscriptions/service.ts';
import { TaskCreation, type TaskService } from '../features/tasks/service.ts';
import type { BoardFeeds } from '../features/watch/service.ts';
import type { Base } from './base.ts';

interface DelegationParts {
  readonly boards: BoardService;
  readonly tasks: TaskService;
  readonly feeds: BoardFeeds;
}

export function createDelegations(
  { config, database, clock, wake, ids, onError }: Base,
  { boards, tasks, feeds }: DelegationParts,
) {
  const secrets = new SecretBox(config.secret);
  const subscriptions = new SubscriptionService({ sql: database.cold, wake, ids, secrets, boards, tasks });
  const creation = new TaskCreation({ hot: database.hot, wake, ids, clock, subscribing: subscriptions });
  return {
    subscriptions,
    creation,
    deliveries: new DeliveryService({ sql: database.cold, wake, random: Math.random }),
    bells: new DeliveryBells({ sql: database.cold, feeds, onError: onError('deliveries') }),
    delegations: new DelegationService({ sql: database.cold, wake, ids }),
    delegating: new Delegating({ ids, boards, creation, subscribing: subscriptions }),
    delegationSweep: new DelegationSweep({ sql: database.sweeps, wake, ids, boards }),
  };
}
