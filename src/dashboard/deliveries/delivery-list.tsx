/** Deliveries by status, newest first, the dead ones before everything else in the eye; each, or all that are shown, may be sent again. */
import { type ReactNode, useState } from 'react';
import type { Client, Delivery, Event, Subscription } from '../../client/index.ts';
import { useClient, useLiveQuery } from '../live/live-context.tsx';
import { useLivePages } from '../live/live-pages.ts';
import { useSession } from '../session/session-context.tsx';
import { useAddressFields } from '../shell/address-fields.ts';
import { useAsk } from '../ui/ask.tsx';
import { Button } from '../ui/button.tsx';
import { ChoiceBar } from '../ui/choice-bar.tsx';
import { EmptyState } from '../ui/empty-state.tsx';
import { Problem } from '../ui/problem.tsx';
import { ShowMore } from '../ui/show-more.tsx';
import { useAct } from '../ui/use-act.ts';
import { DeliveryRow } from './delivery-row.tsx';
import { countsOf, DELIVERY_STATUS_LABELS, DELIVERY_STATUSES, OPEN_STATUSES } from './delivery-words.ts';

/** Leases, pauses and what becomes due are in no event. */
const REREAD_MS = 3000;
const COUNTED_ROWS = '200';

const isOfDelivery = ({ kind }: Event): boolean =>
  kind.startsWith('delivery.') || kind.startsWith('subscription.') || kind === 'delegation.completed';

async function readCounts(client: Client, signal: AbortSignal): Promise<ReturnType<typeof countsOf>> {
  const query = { status: OPEN_STATUSES.join(','), limit: COUNTED_ROWS };
  const { deliveries, next_page_token: next } = await client.deliveries.list(query, { signal });
  return countsOf(deliveries, next !== null);
}

/** The newest page: where they go to, for as many deliveries as are shown at first. */
async function readTargets(client: Client, signal: AbortSignal): Promise<ReadonlyMap<string, Subscription>> {
  const { subscriptions } = await client.subscriptions.list({ limit: COUNTED_ROWS }, { signal });
  return new Map(subscriptions.map((subscription) => [subscription.id, subscription]));
}

export function DeliveryList(): ReactNode {
  const [read, change] = useAddressFields();
  const status = read('status');
  const { data: counts } = useLiveQuery({
    key: ['deliveries', 'counts'],
    read: readCounts,
    isTouchedBy: isOfDelivery,
    everyMs: REREAD_MS,
  });
  const countOf = (each: Delivery['status']): string | number | undefined =>
    each === 'acked' ? undefined : counts?.[each];
  return (
    <>
      <ChoiceBar
        label="Status"
        value={status}
        onChoose={(next) => change({ status: next })}
        choices={[
          { value: '', label: 'All' },
          ...DELIVERY_STATUSES.map((each) => ({
            value: each,
            label: DELIVERY_STATUS_LABELS[each],
            count: countOf(each),
            isAlarming: each === 'dead',
          })),
        ]}
      />
      <List key={status} status={status} />
    </>
  );
}

function List({ status }: { readonly status: string }): ReactNode {
  const pages = useLivePages({
    key: ['deliveries', 'list', status],
    list: (client, signal) => client.deliveries.list(status === '' ? {} : { status }, { signal }),
    rowsOf: (page) => page.deliveries,
    isTouchedBy: isOfDelivery,
    everyMs: REREAD_MS,
  });
  const { data: targets } = useLiveQuery({
    key: ['deliveries', 'targets'],
    read: readTargets,
    isTouchedBy: ({ kind }) => kind.startsWith('subscription.'),
  });
  const { rows, error, reread } = pages;
  const [problems, setProblems] = useState<ReadonlyMap<string, unknown>>(new Map());
  const dead = (rows ?? []).filter((delivery) => delivery.status === 'dead');
  return (
    <>
      <Problem error={error} />
      {rows === undefined && error === null && <p className="muted">Loading …</p>}
      {dead.length > 0 && <DeadLetters dead={dead} onProblems={setProblems} onRetried={reread} />}
      {rows?.length === 0 && <NoDeliveries status={status} />}
      <ul className="deliveries-list">
        {rows?.map((delivery) => (
          <DeliveryRow
            key={delivery.id}
            delivery={delivery}
            subscription={targets?.get(delivery.subscription_id)}
            problem={problems.get(delivery.id) ?? null}
            onRetried={reread}
          />
        ))}
      </ul>
      <ShowMore pages={pages} atBound="Only the newest are shown. Narrow the list by status." />
    </>
  );
}

interface DeadLettersProps {
  readonly dead: readonly Delivery[];
  readonly onProblems: (problems: ReadonlyMap<string, unknown>) => void;
  readonly onRetried: () => void;
}

function DeadLetters({ dead, onProblems, onRetried }: DeadLettersProps): ReactNode {
  const client = useClient();
  const { may } = useSession();
  const ask = useAsk();
  const { act, isPending } = useAct();
  const many = `${dead.length} ${dead.length === 1 ? 'delivery' : 'deliveries'}`;
  const retryAll = async (): Promise<void> => {
    const text = `${many} that ${dead.length === 1 ? 'is' : 'are'} dead and shown here: sent now, as if none had failed before. Somebody who got one after all gets it again.`;
    if ((await ask({ title: 'Retry all that are shown', text, action: `Retry ${dead.length}` })) === null)
      return;
    const problems = new Map<string, unknown>();
    await act('Retry all', async () => {
      // One after the other: what is refused does not keep the others.
      for (const { id } of dead) await client.deliveries.retry(id).catch((error) => problems.set(id, error));
      const refused = problems.size === 0 ? '' : `, ${problems.size} refused`;
      return `${dead.length - problems.size} sent again${refused}`;
    });
    onProblems(problems);
    onRetried();
  };
  return (
    <div className="deliveries-dead">
      <p>
        <strong>{many} dead</strong>: nobody tries any more. The error says why; mend it, then send again.
      </p>
      {may.operate && (
        <Button tone="danger" size="small" disabled={isPending} onClick={() => void retryAll()}>
          Retry all shown
        </Button>
      )}
    </div>
  );
}

function NoDeliveries({ status }: { readonly status: string }): ReactNode {
  if (status === 'dead') return <EmptyState title="No delivery is dead." />;
  if (status !== '') return <EmptyState title="No delivery is like that." />;
  return (
    <EmptyState
      title="Nothing was told to anybody yet"
      commands={[
        'lanekeeper subscription put --task nightly-42 --platform telegram --chat 4711 --session s1',
        'lanekeeper delivery claim --platforms telegram --wait --json',
        'lanekeeper delivery ack dlv_… --lease … --message-id 4711',
      ]}
    >
      <p>
        When a task or delegation ends, its outcome goes to those who are subscribed, by a gateway or a
        webhook.
      </p>
    </EmptyState>
  );
}
