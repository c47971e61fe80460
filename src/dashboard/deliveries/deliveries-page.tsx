/** Outcomes on their way back: deliveries with their dead letters, who is subscribed, and what a session was told. */
import type { ReactNode } from 'react';
import { useSession } from '../session/session-context.tsx';
import { useAddressFields } from '../shell/address-fields.ts';
import { ChoiceBar } from '../ui/choice-bar.tsx';
import { EmptyState } from '../ui/empty-state.tsx';
import { PageHeader } from '../ui/page-header.tsx';
import './deliveries.css';
import { DeliveryList } from './delivery-list.tsx';
import { SessionMessages } from './session-messages.tsx';
import { SubscriptionList } from './subscription-list.tsx';

const VIEWS = [
  { value: '', label: 'Deliveries' },
  { value: 'subscriptions', label: 'Subscriptions' },
  { value: 'session', label: 'Session messages' },
] as const;

export function DeliveriesPage(): ReactNode {
  const { may } = useSession();
  const [read, change] = useAddressFields();
  const view = read('view');
  if (!may.readDeliveries) return <EmptyState title="This key may not read deliveries." />;
  return (
    <>
      <PageHeader title="Deliveries" />
      <ChoiceBar label="View" choices={VIEWS} value={view} onChoose={(next) => change({ view: next })} />
      {view === 'subscriptions' && <SubscriptionList />}
      {view === 'session' && <SessionMessages />}
      {view !== 'subscriptions' && view !== 'session' && <DeliveryList />}
    </>
  );
}
