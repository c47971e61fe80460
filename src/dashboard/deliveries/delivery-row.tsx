/** One delivery: what is told to whom, where it stands, and what went wrong. */
import { type ReactNode, useState } from 'react';
import type { Delivery, Subscription } from '../../client/index.ts';
import { useClient } from '../live/live-context.tsx';
import { useSession } from '../session/session-context.tsx';
import { Button } from '../ui/button.tsx';
import { Problem } from '../ui/problem.tsx';
import { Chip } from '../ui/status-chip.tsx';
import { useTick } from '../ui/ticker.ts';
import { useAct } from '../ui/use-act.ts';
import { DeliveryDetails } from './delivery-details.tsx';
import { DeliveryState } from './delivery-state.tsx';
import { canRetry, targetText, webhookHost } from './delivery-words.ts';
import { SubjectLink } from './subject-link.tsx';

interface RowProps {
  readonly delivery: Delivery;
  /** undefined: among those that were not read, or deleted. */
  readonly subscription: Subscription | undefined;
  /** Why retrying all could not retry this one. */
  readonly problem: unknown;
  readonly onRetried: () => void;
}

export function DeliveryRow({ delivery, subscription, problem, onRetried }: RowProps): ReactNode {
  const { id, kind, mode, owner, platform, session_id: session, last_error: lastError } = delivery;
  const [isOpen, setOpen] = useState(false);
  return (
    <li className="deliveries-row">
      <div className="deliveries-head">
        <h2>
          <SubjectLink task={delivery.task_id} delegation={delivery.delegation_id} />
        </h2>
        <Retry delivery={delivery} problem={problem} onRetried={onRetried} />
      </div>
      <p className="deliveries-facts">
        <DeliveryState delivery={delivery} />
      </p>
      <p className="deliveries-facts small">
        <span>{kind}</span>
        <span>to {subscription === undefined ? platform : targetText(subscription)}</span>
        {subscription !== undefined && <WebhookChip subscription={subscription} />}
        <span className="muted">{mode}</span>
        {subscription?.wake === true && <span className="muted">wakes the session</span>}
        <span className="muted">{owner === null ? 'owner: nobody' : `owner ${owner}`}</span>
        {session !== null && <span className="muted">session {session}</span>}
      </p>
      {lastError !== null && <p className="deliveries-error wrap">{lastError}</p>}
      <details onToggle={(event) => setOpen(event.currentTarget.open)}>
        <summary>
          Text and ids<span className="visually-hidden"> of {id}</span>
        </summary>
        {isOpen && <DeliveryDetails delivery={delivery} />}
      </details>
    </li>
  );
}

export function WebhookChip({ subscription }: { readonly subscription: Subscription }): ReactNode {
  const host = webhookHost(subscription);
  return host === null ? null : <Chip kind="info">webhook {host}</Chip>;
}

interface RetryProps {
  readonly delivery: Delivery;
  readonly problem: unknown;
  readonly onRetried: () => void;
}

function Retry({ delivery, problem, onRetried }: RetryProps): ReactNode {
  const client = useClient();
  const { may, clock } = useSession();
  const { act, isPending, error } = useAct();
  // A pause ends by itself.
  useTick();
  const { id, status } = delivery;
  const label = status === 'dead' ? 'Retry' : 'Send now';
  const isOffered = may.operate && canRetry(delivery, clock.now());
  const retry = async (): Promise<void> => {
    const isDone = await act(label, async () => {
      await client.deliveries.retry(id);
      return 'It is sent again now';
    });
    if (isDone) onRetried();
  };
  return (
    <>
      {isOffered && (
        <Button size="small" disabled={isPending} aria-label={`${label} ${id}`} onClick={() => void retry()}>
          {label}
        </Button>
      )}
      <Problem error={error ?? problem} />
    </>
  );
}
