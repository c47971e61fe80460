/** What was delivered to a session, as whoever goes on with the conversation reads it: oldest first. */
import type { ReactNode } from 'react';
import { useLivePages } from '../live/live-pages.ts';
import { useAddressFields } from '../shell/address-fields.ts';
import { EmptyState } from '../ui/empty-state.tsx';
import { LongText } from '../ui/long-text.tsx';
import { Problem } from '../ui/problem.tsx';
import { ShowMore } from '../ui/show-more.tsx';
import { Ago } from '../ui/time.tsx';
import { targetText } from './delivery-words.ts';
import { SubjectLink } from './subject-link.tsx';
import { TextFilter } from './subscription-list.tsx';

export function SessionMessages(): ReactNode {
  const [read, change] = useAddressFields();
  const session = read('session');
  return (
    <>
      <div className="deliveries-tools">
        <TextFilter
          key={session}
          label="Session"
          value={session}
          onFilter={(next) => change({ session: next })}
        />
      </div>
      {session === '' ? (
        <EmptyState title="Which session?" commands={['lanekeeper session messages s1']}>
          <p>The session of the origin of a task or delegation: its conversation, as the gateway names it.</p>
        </EmptyState>
      ) : (
        <Messages key={session} session={session} />
      )}
    </>
  );
}

function Messages({ session }: { readonly session: string }): ReactNode {
  const pages = useLivePages({
    key: ['session messages', session],
    list: (client, signal) => client.deliveries.sessionMessages(session, {}, { signal }),
    rowsOf: (page) => page.messages,
    isTouchedBy: ({ kind }) => kind === 'delivery.acked',
  });
  const { rows, error } = pages;
  return (
    <>
      <Problem error={error} />
      {rows === undefined && error === null && <p className="muted">Loading …</p>}
      {rows?.length === 0 && <EmptyState title={`Nothing was delivered to session ${session} yet.`} />}
      <ol className="deliveries-list">
        {rows?.map((message) => (
          <li key={message.delivery_id} className="deliveries-row">
            <p className="deliveries-facts small">
              <Ago at={message.at} />
              <span>to {targetText(message)}</span>
              <span>
                of <SubjectLink task={message.task_id} delegation={message.delegation_id} />
              </span>
              {message.message_id !== null && <span className="muted">message {message.message_id}</span>}
            </p>
            <LongText label="Text of the message" text={message.text} />
          </li>
        ))}
      </ol>
      <ShowMore pages={pages} atBound="Only the oldest are shown; the command shows all." />
    </>
  );
}
