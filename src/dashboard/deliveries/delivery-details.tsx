/** What a delivery says, as far as it is kept, and its ids. Read when it is opened. */
import type { ReactNode } from 'react';
import type { Client, Delivery } from '../../client/index.ts';
import { useLiveQuery } from '../live/live-context.tsx';
import { CopyButton } from '../ui/copy-button.tsx';
import { LongText } from '../ui/long-text.tsx';
import { Problem } from '../ui/problem.tsx';

/** Of a session with more messages than five pages of 200 the text of a late one is looked for on the page of the session. */
const MESSAGES_MAX = 1000;
const PAGE_ROWS = '200';

/** null: it is made when a gateway takes it. */
async function readText(client: Client, delivery: Delivery, signal: AbortSignal): Promise<string | null> {
  const { id, status, session_id: session, delegation_id: delegation } = delivery;
  if (status === 'acked' && session !== null) {
    let seen = 0;
    for await (const message of client.deliveries.sessionMessages(
      session,
      { limit: PAGE_ROWS },
      { signal },
    )) {
      if (message.delivery_id === id) return message.text;
      seen += 1;
      if (seen >= MESSAGES_MAX) break;
    }
  }
  if (delegation === null) return null;
  return (await client.delegations.get(delegation, { signal })).delegation.text;
}

export function DeliveryDetails({ delivery }: { readonly delivery: Delivery }): ReactNode {
  const { id, status, subscription_id: subscription, message_id: message, seq } = delivery;
  const { data, error } = useLiveQuery({
    key: ['delivery text', id, status],
    read: (client, signal) => readText(client, delivery, signal),
    isTouchedBy: () => false,
  });
  return (
    <div className="deliveries-details">
      <Problem error={error} />
      {data === null && (
        <p className="muted">
          Its text is made when a gateway takes it, of what the task ended with: see the task itself.
        </p>
      )}
      {typeof data === 'string' && <LongText label="Text of the delivery" text={data} />}
      <dl className="facts">
        <dt>Delivery</dt>
        <dd>
          <code>{id}</code> <CopyButton text={id} label="Copy id" />
        </dd>
        <dt>Subscription</dt>
        <dd>
          <code>{subscription}</code>
        </dd>
        <dt>Tells of event</dt>
        <dd>{seq}</dd>
        {message !== null && (
          <>
            <dt>Message</dt>
            <dd>{message}</dd>
          </>
        )}
      </dl>
    </div>
  );
}
