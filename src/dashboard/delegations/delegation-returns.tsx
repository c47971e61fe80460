/** Who is told the outcome of a delegation, and how far that is. */
import type { ReactNode } from 'react';
import { Link } from 'wouter';
import type { Client, Delivery, Event, Subscription } from '../../client/index.ts';
import { DeliveryState } from '../deliveries/delivery-state.tsx';
import { targetText } from '../deliveries/delivery-words.ts';
import { useClient, useLiveQuery } from '../live/live-context.tsx';
import { linkToPage } from '../shell/links.ts';
import { TaskPanel } from '../task/task-panel.tsx';
import { Problem } from '../ui/problem.tsx';

/** Somebody who tells more people than this looks at the page of the deliveries. */
const SUBSCRIPTIONS_MAX = 20;
/** Leases come and go without an event. */
const REREAD_MS = 5000;

interface Return {
  readonly subscription: Subscription;
  /** Newest first. */
  readonly deliveries: readonly Delivery[];
}

async function readReturns(
  client: Client,
  delegation: string,
  signal: AbortSignal,
): Promise<readonly Return[]> {
  const query = { delegation_id: delegation, limit: String(SUBSCRIPTIONS_MAX) };
  const { subscriptions } = await client.subscriptions.list(query, { signal });
  return Promise.all(
    subscriptions.map(async (subscription) => {
      const { deliveries } = await client.deliveries.list({ subscription_id: subscription.id }, { signal });
      return { subscription, deliveries };
    }),
  );
}

export function Returns({ delegation }: { readonly delegation: string }): ReactNode {
  const { board } = useClient();
  const { data, error } = useLiveQuery({
    key: ['returns', delegation],
    read: (client, signal) => readReturns(client, delegation, signal),
    isTouchedBy: ({ kind, delegation_id: id }: Event) =>
      id === delegation || kind.startsWith('delivery.') || kind.startsWith('subscription.'),
    everyMs: REREAD_MS,
  });
  return (
    <TaskPanel title="Told to">
      <Problem error={error} />
      {data?.length === 0 && (
        <p className="muted">Nobody is subscribed to it: whoever asked for it collects the result.</p>
      )}
      <ul className="delegations-returns">
        {data?.map(({ subscription, deliveries }) => (
          <li key={subscription.id}>
            <p>{targetText(subscription)}</p>
            {deliveries.length === 0 && <p className="muted small">Nothing to tell yet.</p>}
            {deliveries.map((delivery) => (
              <p key={delivery.id} className="delegations-facts">
                <DeliveryState delivery={delivery} />
              </p>
            ))}
          </li>
        ))}
      </ul>
      {data !== undefined && data.length > 0 && (
        <Link href={`~${linkToPage(board, 'deliveries')}?view=subscriptions&subject=${delegation}`}>
          Its subscriptions
        </Link>
      )}
    </TaskPanel>
  );
}
