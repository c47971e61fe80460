import type { DeliveryStatus } from '../../../contract/statuses.ts';
import { parseId, type Uuid } from '../../kernel/ids.ts';
import { ProblemError } from '../../kernel/problem-error.ts';
import type { DeliveryRow } from './store/row.ts';

export function idOfDelivery(reference: string): Uuid {
  const id = parseId('dlv', reference);
  if (id === null) throw deliveryNotFound(reference);
  return id;
}

/** A lease that has lapsed and was not given to anybody else still holds: it was sent. */
export function assertLeased(row: DeliveryRow, leaseId: string): void {
  if (row.status === 'leased' && row.lease_id === leaseId) return;
  throw new ProblemError(
    'lease_lost',
    'The lease is over: the delivery has been given out again, or is finished.',
    {
      extensions: { delivery_status: row.status },
    },
  );
}

export function deliveryNotFound(reference: string): ProblemError {
  return new ProblemError('not_found', `There is no delivery ${JSON.stringify(reference)}.`, {
    extensions: { resource: 'delivery' },
  });
}

export function unfollowed(status: DeliveryStatus): ProblemError {
  return new ProblemError(
    'illegal_transition',
    'The subscription of this delivery is gone: there is nobody whom it could be told.',
    { extensions: { status_before: status, status_after: 'pending' } },
  );
}

export function notRetryable(status: DeliveryStatus): ProblemError {
  return new ProblemError(
    'illegal_transition',
    `A delivery that is ${status} is not waiting to be sent again.`,
    {
      extensions: { status_before: status, status_after: 'pending' },
    },
  );
}
