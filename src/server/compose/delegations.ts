/** Delegations and how their outcomes return, constructed and wired. */
import { SecretBox } from '../features/auth/service.ts';
import type { BoardService } from '../features/boards/service.ts';
import {
  Delegating,
  DelegationService,
  DelegationSweep,
  StuckDelegations,
} from '../features/delegations/service.ts';
import { DeliveryBells, DeliveryService } from '../features/deliveries/service.ts';
import { SubscriptionService } from '../features/subscriptions/service.ts';
import { Synthesis } from '../features/synthesis/synthesis.ts';
import { TaskCreation, type TaskService } from '../features/tasks/service.ts';
import { refusalOf, type TrustedHosts, WebhookSender } from '../features/webhooks/service.ts';
import type { Base } from './base.ts';
import type { Spans } from './spans.ts';

interface DelegationParts {
  readonly boards: BoardService;
  readonly tasks: TaskService;
  readonly spans: Spans | null;
}

export function createDelegations(
  { config, database, clock, wake, ids, metrics, onError }: Base,
  { boards, tasks, spans }: DelegationParts,
) {
  const secrets = new SecretBox(config.secret);
  const trusted: TrustedHosts = new Set(config.webhookHosts);
  const subscriptions = new SubscriptionService({
    sql: database.cold,
    wake,
    ids,
    secrets,
    boards,
    tasks,
    refusalOf: (url) => refusalOf(url, trusted),
  });
  const deliveries = new DeliveryService({
    sql: database.cold,
    wake,
    random: Math.random,
    onOutcome: (outcome) => metrics.deliveries.inc({ outcome }),
    onOver: spans === null ? null : (board, delivery) => spans.onDelivered(board, delivery),
  });
  const creation = new TaskCreation({ hot: database.hot, wake, ids, clock, subscribing: subscriptions });
  return {
    subscriptions,
    creation,
    deliveries,
    synthesis: new Synthesis({ sql: database.sweeps, wake, ids, boards, deliveries, creation }),
    webhooks: new WebhookSender({
      sql: database.cold,
      boards,
      deliveries,
      secrets,
      trusted,
      now: () => new Date(clock.now()),
      onError: onError('webhooks'),
    }),
    bells: new DeliveryBells({ sql: database.cold, wake, onError: onError('deliveries') }),
    delegations: new DelegationService({ sql: database.cold, wake, ids }),
    delegating: new Delegating({ ids, boards, creation, subscribing: subscriptions }),
    stuckDelegations: new StuckDelegations({ sql: database.sweeps, wake }),
    delegationSweep: new DelegationSweep({ sql: database.sweeps, wake, ids, boards }),
  };
}
