/** Where a delivery stands: its status, when it goes on, and how often it was tried. */
import type { ReactNode } from 'react';
import type { Delivery } from '../../client/index.ts';
import { LeaseCountdown } from '../ui/lease-countdown.tsx';
import { Chip } from '../ui/status-chip.tsx';
import { Ago, clockDuration, useSecondsUntil } from '../ui/time.tsx';
import { DELIVERY_STATUS_LABELS } from './delivery-words.ts';

export function DeliveryState({ delivery }: { readonly delivery: Delivery }): ReactNode {
  const { status, attempt, failures } = delivery;
  return (
    <>
      <Chip kind={status}>{DELIVERY_STATUS_LABELS[status]}</Chip>
      <When delivery={delivery} />
      {attempt > 0 && <span className="muted">attempt {attempt}</span>}
      {failures > 0 && (
        <span className="muted">
          {failures} {failures === 1 ? 'failure' : 'failures in a row'}
        </span>
      )}
    </>
  );
}

function When({ delivery }: { readonly delivery: Delivery }): ReactNode {
  const { status, due_at: dueAt, lease_expires_at: leaseAt, finished_at: finishedAt, created_at } = delivery;
  if (status === 'pending') return <Due at={dueAt} />;
  if (status === 'leased' && leaseAt !== null)
    return (
      <span>
        lease <LeaseCountdown expiresAtMs={Date.parse(leaseAt)} sinceMs={Date.parse(created_at)} />
      </span>
    );
  if (finishedAt !== null) return <Ago at={finishedAt} />;
  return (
    <span>
      since <Ago at={created_at} suffix="" />
    </span>
  );
}

function Due({ at }: { readonly at: string }): ReactNode {
  const seconds = useSecondsUntil(Date.parse(at));
  if (seconds > 0) return <span className="lease">again in {clockDuration(seconds)}</span>;
  return (
    <span>
      due since <Ago at={at} suffix="" />
    </span>
  );
}
