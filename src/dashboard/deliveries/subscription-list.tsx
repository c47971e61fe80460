/** Who is told the outcome of what. */
import { type FormEvent, type ReactNode, useState } from 'react';
import type { Subscription } from '../../client/index.ts';
import { useClient } from '../live/live-context.tsx';
import { useLivePages } from '../live/live-pages.ts';
import { useSession } from '../session/session-context.tsx';
import { useAddressFields } from '../shell/address-fields.ts';
import { ActorName } from '../task/actor-name.tsx';
import { useAsk } from '../ui/ask.tsx';
import { Button } from '../ui/button.tsx';
import { EmptyState } from '../ui/empty-state.tsx';
import { Problem } from '../ui/problem.tsx';
import { ShowMore } from '../ui/show-more.tsx';
import { Ago } from '../ui/time.tsx';
import { useAct } from '../ui/use-act.ts';
import { WebhookChip } from './delivery-row.tsx';
import { subjectOf, targetText } from './delivery-words.ts';
import { SubjectLink } from './subject-link.tsx';
import { SubscribeDialog } from './subscribe-dialog.tsx';

export function SubscriptionList(): ReactNode {
  const { may } = useSession();
  const [read, change] = useAddressFields();
  const subject = read('subject');
  const [isSubscribing, setSubscribing] = useState(false);
  return (
    <>
      <div className="deliveries-tools">
        <TextFilter
          key={subject}
          label="Task or delegation"
          value={subject}
          onFilter={(next) => change({ subject: next })}
        />
        {may.operate && <Button onClick={() => setSubscribing(true)}>Subscribe …</Button>}
      </div>
      <List key={subject} subject={subject} />
      {isSubscribing && <SubscribeDialog subject={subject} onClose={() => setSubscribing(false)} />}
    </>
  );
}

interface TextFilterProps {
  readonly label: string;
  readonly value: string;
  readonly onFilter: (value: string) => void;
}

/** A text that is looked for when it is wholly typed. */
export function TextFilter({ label, value, onFilter }: TextFilterProps): ReactNode {
  const [text, setText] = useState(value);
  const submit = (event: FormEvent): void => {
    event.preventDefault();
    onFilter(text.trim());
  };
  return (
    <form className="deliveries-filter" onSubmit={submit}>
      <input
        type="search"
        aria-label={label}
        placeholder={label}
        value={text}
        onChange={(event) => setText(event.target.value)}
      />
      <Button type="submit">Show</Button>
    </form>
  );
}

function List({ subject }: { readonly subject: string }): ReactNode {
  const { task, delegation } = subjectOf(subject);
  const pages = useLivePages({
    key: ['subscriptions', subject],
    list: (client, signal) =>
      client.subscriptions.list(
        {
          ...(task === null ? {} : { task_id: task }),
          ...(delegation === null ? {} : { delegation_id: delegation }),
        },
        { signal },
      ),
    rowsOf: (page) => page.subscriptions,
    isTouchedBy: ({ kind }) => kind.startsWith('subscription.'),
  });
  const { rows, error, reread } = pages;
  return (
    <>
      <Problem error={error} />
      {rows === undefined && error === null && <p className="muted">Loading …</p>}
      {rows?.length === 0 && <NoSubscriptions isFiltered={subject !== ''} />}
      <ul className="deliveries-list">
        {rows?.map((subscription) => (
          <Row key={subscription.id} subscription={subscription} onDeleted={reread} />
        ))}
      </ul>
      <ShowMore pages={pages} atBound="Only the newest are shown. Narrow the list by task or delegation." />
    </>
  );
}

function NoSubscriptions({ isFiltered }: { readonly isFiltered: boolean }): ReactNode {
  return (
    <EmptyState
      title={isFiltered ? 'Nobody is told of it.' : 'Nobody is subscribed'}
      commands={[
        'lanekeeper subscription put --task nightly-42 --platform telegram --chat 4711 --session s1',
        'lanekeeper subscription put --task nightly-42 --platform hook --webhook https://example.com/done',
      ]}
    >
      <p>What is made with an origin that has a platform and a chat is subscribed by itself.</p>
    </EmptyState>
  );
}

interface RowProps {
  readonly subscription: Subscription;
  readonly onDeleted: () => void;
}

function Row({ subscription, onDeleted }: RowProps): ReactNode {
  const client = useClient();
  const { may } = useSession();
  const ask = useAsk();
  const { act, isPending, error } = useAct();
  const { id, mode, wake, kinds, owner, created_at: createdAt, created_by: by } = subscription;
  const target = targetText(subscription);
  const remove = async (): Promise<void> => {
    const question = {
      title: `Delete the subscription of ${target}`,
      text: 'It is told nothing more; what is not delivered yet is dropped.',
      action: 'Delete subscription',
      isDestructive: true,
    };
    if ((await ask(question)) === null) return;
    const isDone = await act('Delete subscription', async () => {
      await client.subscriptions.delete(id);
      return `${target} is told nothing more`;
    });
    if (isDone) onDeleted();
  };
  return (
    <li className="deliveries-row">
      <div className="deliveries-head">
        <h2>
          {target} <WebhookChip subscription={subscription} />
        </h2>
        {may.operate && (
          <Button
            tone="danger"
            size="small"
            disabled={isPending}
            aria-label={`Delete ${target}, ${id}`}
            onClick={() => void remove()}
          >
            Delete
          </Button>
        )}
      </div>
      <p className="deliveries-facts">
        <span>
          of <SubjectLink task={subscription.task_id} delegation={subscription.delegation_id} />
        </span>
        <span>{mode}</span>
        {wake && <span>wakes the session</span>}
        <span className="muted">{owner === null ? 'owner: nobody' : `owner ${owner}`}</span>
      </p>
      <p className="deliveries-facts muted small">
        <span>
          created <Ago at={createdAt} /> by <ActorName actor={by} />
        </span>
        <span>{kinds.join(', ')}</span>
      </p>
      <Problem error={error} />
    </li>
  );
}
