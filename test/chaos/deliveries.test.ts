import { describe, expect, it } from 'vitest';
import { checkDeliveries } from '../../chaos/checkers/deliveries.ts';
import { checkDeliveryLeases } from '../../chaos/checkers/delivery-leases.ts';
import { detailsOf } from './recorded-day.ts';
import {
  dropEvent,
  type ForgedReturn,
  forgeReturns,
  operationsOn,
  present,
  type Returns,
  recordReturns,
  rowOf,
} from './recorded-returns.ts';

const TOLD: readonly ForgedReturn[] = [
  [
    'an event that was never told',
    'an event was never told',
    ({ final }) => {
      final.deliveries.splice(1, 1);
    },
  ],
  [
    'an event that was told by two',
    'an event has not one delivery',
    (returns) => {
      returns.final.deliveries.push({ ...rowOf(returns, 'deliveries', 'v3'), id: 'v9' });
    },
  ],
  [
    'a delivery of what came before its subscription',
    'a delivery is of an event that it is not for',
    (returns) => {
      rowOf(returns, 'deliveries', 'v2').seq = 5;
    },
  ],
  [
    'one target that has two subscriptions',
    'one target has several subscriptions',
    (returns) => {
      const operation = present(operationsOn(returns, 'subscribe')[0]);
      returns.operations.push({ ...operation, subscriptionId: 's1' });
    },
  ],
  [
    'an acknowledged subscription that is gone',
    'an acknowledged subscription is not there',
    ({ final }) => {
      final.subscriptions.pop();
    },
  ],
  [
    'a second ack of one delivery',
    'a delivery was acked more than once',
    ({ final }) => {
      final.events.push({ ...present(final.events.find(({ kind }) => kind === 'delivery.acked')), seq: 20 });
    },
  ],
  [
    'an acked one that the log knows nothing of',
    'a delivery is not what the log says',
    (returns) => dropEvent(returns, ({ kind }) => kind === 'delivery.acked'),
  ],
  [
    'one that became silent before anybody had it, and was acked',
    'a delivery is not what the log says',
    (returns) => {
      rowOf(returns, 'deliveries', 'v1').mode = 'silent';
    },
  ],
  [
    'an acknowledged one that is out again',
    'an acknowledged delivery was lost',
    (returns) => {
      rowOf(returns, 'deliveries', 'v1').status = 'pending';
    },
  ],
  [
    'an acknowledgement under another attempt',
    'an acknowledged delivery was lost',
    (returns) => {
      present(operationsOn(returns, 'deliver')[0]).attempt = 1;
    },
  ],
  [
    'a refusal that was lost',
    'an acknowledged refusal of a delivery was lost',
    (returns) => dropEvent(returns, ({ kind }) => kind === 'delivery.dead'),
  ],
  [
    'a dead one without a reason',
    'a dead delivery does not say why',
    (returns) => {
      rowOf(returns, 'deliveries', 'v3').lastError = null;
    },
  ],
  [
    'a message that is missing in its session',
    'a delivery is not one message of its session',
    (returns) => {
      rowOf(returns, 'deliveries', 'v1').messages = 0;
    },
  ],
  [
    'one that waits for nothing',
    'a delivery waits for nothing',
    (returns) => {
      rowOf(returns, 'deliveries', 'v1').status = 'pending';
    },
  ],
  [
    'a lapsed lease that nobody noticed',
    'a lapsed delivery was not given out again',
    (returns) => {
      const row = rowOf(returns, 'deliveries', 'v1');
      row.status = 'leased';
      row.leaseExpiresAt = row.dueAt;
    },
  ],
  [
    'a reply that never came',
    'a reply was waited for in vain',
    (returns) => {
      const row = rowOf(returns, 'deliveries', 'v1');
      row.status = 'synthesizing';
      row.synthesisDueAt = row.dueAt;
    },
  ],
  [
    'outcomes that were told the wrong way round',
    'the outcomes of one subscription were told out of order',
    ({ final }) => {
      for (const event of final.events.filter(({ data }) => data['delivery_id'] === 'v2')) event.seq = 99;
    },
  ],
];

const leaseOf = (returns: Returns, place: number) => {
  const operation = present(operationsOn(returns, 'lease')[place]);
  return present(operation.leases[0]);
};

const GIVEN_OUT: readonly ForgedReturn[] = [
  [
    'two of one session at once',
    'two deliveries of one session were out at once',
    (returns) => {
      // A second later, while the next one of the session is given out already.
      leaseOf(returns, 0).expiresAt = '2026-01-01T00:00:24.500Z';
      present(operationsOn(returns, 'lease')[0]).leaseSeconds = 4;
      rowOf(returns, 'deliveries', 'v1').finishedAt = '2026-01-01T00:00:26.000Z';
    },
  ],
  [
    'one that is out while another was acked later than it began',
    'two deliveries of one session were out at once',
    (returns) => {
      rowOf(returns, 'deliveries', 'v1').finishedAt = '2026-01-01T00:00:26.000Z';
      leaseOf(returns, 1).expiresAt = '2026-01-01T00:00:26.000Z';
      present(operationsOn(returns, 'lease')[1]).leaseSeconds = 3;
    },
  ],
  [
    'another text the second time',
    'one delivery told different things',
    (returns) => {
      leaseOf(returns, 1).text = 'another';
    },
  ],
  [
    'the same attempt twice',
    'a delivery was given out again under no higher attempt',
    (returns) => {
      leaseOf(returns, 1).attempt = 1;
    },
  ],
  [
    'a later outcome before an earlier one',
    'a later outcome was given out before an earlier one',
    (returns) => {
      leaseOf(returns, 2).expiresAt = '2026-01-01T00:00:40.000Z';
    },
  ],
  [
    'one that is not there',
    'a delivery was given out that is not there',
    (returns) => {
      leaseOf(returns, 3).deliveryId = 'v9';
    },
  ],
];

describe('what is subscribed to is told', () => {
  it('holds on a good day', () => {
    const { operations, final } = recordReturns();
    expect(checkDeliveries(operations, final)).toEqual([]);
  });

  it.each(TOLD)('finds %s', (_, detail, change) => {
    const { operations, final } = forgeReturns(change);
    expect(detailsOf(checkDeliveries(operations, final))).toContain(detail);
  });

  it('lets a dead one be told after all, when it is tried again by hand', () => {
    const returns = recordReturns();
    const row = rowOf(returns, 'deliveries', 'v3');
    Object.assign(row, { status: 'acked', lastError: null, messages: 1 });
    const dead = present(returns.final.events.find(({ kind }) => kind === 'delivery.dead'));
    returns.final.events.push({
      ...dead,
      kind: 'delivery.acked',
      seq: 20,
      data: { ...dead.data, attempt: 2 },
    });
    expect(checkDeliveries(returns.operations, returns.final)).toEqual([]);
  });

  it('lets one be acked that became silent while a gateway had it', () => {
    const returns = recordReturns();
    const row = rowOf(returns, 'deliveries', 'v1');
    Object.assign(row, { mode: 'silent', leaseExpiresAt: row.finishedAt });
    expect(checkDeliveries(returns.operations, returns.final)).toEqual([]);
  });

  it('lets one stand behind another that pauses', () => {
    const returns = recordReturns();
    const [earlier, later] = [rowOf(returns, 'deliveries', 'v2'), rowOf(returns, 'deliveries', 'v3')];
    Object.assign(earlier, { status: 'pending', dueAt: '2026-01-01T00:02:00.000Z', messages: 0 });
    Object.assign(later, { status: 'pending' });
    returns.final.events = returns.final.events.filter(
      ({ data }) => !['v2', 'v3'].includes(`${data['delivery_id']}`),
    );
    returns.operations = returns.operations.filter(({ kind }) => kind !== 'deliver' && kind !== 'bury');
    expect(checkDeliveries(returns.operations, returns.final)).toEqual([]);
  });
});

describe('deliveries of one session are given out one at a time', () => {
  it('holds on a good day', () => {
    const { operations, final } = recordReturns();
    expect(checkDeliveryLeases(operations, final)).toEqual([]);
  });

  it.each(GIVEN_OUT)('finds %s', (_, detail, change) => {
    const { operations, final } = forgeReturns(change);
    expect(detailsOf(checkDeliveryLeases(operations, final))).toContain(detail);
  });

  it('excuses a next one by a nack that was asked for just before it', () => {
    const returns = recordReturns();
    leaseOf(returns, 1).expiresAt = '2026-01-01T00:00:23.000Z';
    const [acked] = operationsOn(returns, 'deliver');
    const nack = { ...present(acked), kind: 'nack', leaseId: 'l1', invokedAt: 20_500 } as const;
    returns.operations.push(nack);
    expect(checkDeliveryLeases(returns.operations, returns.final)).toEqual([]);
  });

  it('leaves a lease out during which its subscription may have come to another session', () => {
    const [[, , change]] = GIVEN_OUT as [ForgedReturn];
    const { operations, final } = forgeReturns((returns) => {
      change(returns);
      const [created] = returns.final.events.filter(({ kind }) => kind === 'subscription.created');
      returns.final.events.push({
        ...present(created),
        kind: 'subscription.updated',
        at: '2026-01-01T00:00:22.000Z',
        data: { subscription_id: leaseOf(returns, 0).subscriptionId },
      });
    });
    expect(detailsOf(checkDeliveryLeases(operations, final))).not.toContain(
      'two deliveries of one session were out at once',
    );
  });

  it('takes the same answer given again for one lease', () => {
    const returns = recordReturns();
    returns.operations.push(...operationsOn(returns, 'lease'));
    expect(checkDeliveryLeases(returns.operations, returns.final)).toEqual([]);
  });
});
