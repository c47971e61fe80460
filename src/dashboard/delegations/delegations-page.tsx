/** All delegations of the board, newest first, with how far they are. */
import { type FormEvent, type ReactNode, useEffect, useState } from 'react';
import { Link, useLocation } from 'wouter';
import type { Delegation, Event } from '../../client/index.ts';
import { useClient } from '../live/live-context.tsx';
import { useLivePages } from '../live/live-pages.ts';
import { useSession } from '../session/session-context.tsx';
import { useAddressFields } from '../shell/address-fields.ts';
import { linkToDelegation } from '../shell/links.ts';
import { Button } from '../ui/button.tsx';
import { ChoiceBar } from '../ui/choice-bar.tsx';
import { EmptyState } from '../ui/empty-state.tsx';
import { PageHeader } from '../ui/page-header.tsx';
import { Problem } from '../ui/problem.tsx';
import { ShowMore } from '../ui/show-more.tsx';
import { Chip } from '../ui/status-chip.tsx';
import { Ago } from '../ui/time.tsx';
import { Deadline } from './deadline.tsx';
import { DelegateDialog } from './delegate-dialog.tsx';
import { DELEGATION_STATUS_LABELS, DELEGATION_STATUSES, joinText, originText } from './delegation-words.ts';
import './delegations.css';
import { ProgressBar, useEnded, useTitle } from './progress-bar.tsx';
import { useDelegationActions } from './use-delegation-actions.ts';

export function DelegationsPage(): ReactNode {
  const [read, change] = useAddressFields();
  const status = read('status');
  const session = read('session_id');
  const { may } = useSession();
  const { board } = useClient();
  const [, navigate] = useLocation();
  const [isDelegating, setDelegating] = useState(false);
  return (
    <>
      <PageHeader title="Delegations">
        <SessionFilter key={session} session={session} onFilter={(next) => change({ session_id: next })} />
        {may.operate && (
          <Button tone="primary" onClick={() => setDelegating(true)}>
            Delegate
          </Button>
        )}
      </PageHeader>
      <ChoiceBar
        label="Status"
        value={status}
        onChoose={(next) => change({ status: next })}
        choices={[
          { value: '', label: 'All' },
          ...DELEGATION_STATUSES.map((each) => ({ value: each, label: DELEGATION_STATUS_LABELS[each] })),
        ]}
      />
      {session !== '' && <SessionActions session={session} />}
      <List key={`${status}\n${session}`} status={status} session={session} />
      {isDelegating && (
        <DelegateDialog
          onClose={() => setDelegating(false)}
          onMade={(delegation) => navigate(`~${linkToDelegation(board, delegation)}`)}
        />
      )}
    </>
  );
}

interface SessionFilterProps {
  readonly session: string;
  readonly onFilter: (session: string) => void;
}

function SessionFilter({ session, onFilter }: SessionFilterProps): ReactNode {
  const [text, setText] = useState(session);
  // The address may be changed from elsewhere: a link, the way back.
  useEffect(() => setText(session), [session]);
  const submit = (event: FormEvent): void => {
    event.preventDefault();
    onFilter(text.trim());
  };
  return (
    <form className="delegations-session" onSubmit={submit}>
      <input
        type="search"
        aria-label="Session of the origin"
        placeholder="Session"
        value={text}
        onChange={(event) => {
          setText(event.target.value);
          if (event.target.value === '') onFilter('');
        }}
      />
      <Button type="submit">Show</Button>
    </form>
  );
}

function SessionActions({ session }: { readonly session: string }): ReactNode {
  const { may } = useSession();
  const { cancelSession, isPending, error } = useDelegationActions();
  return (
    <div className="delegations-of-session">
      <span>
        Of session <strong>{session}</strong>
      </span>
      {may.operate && (
        <Button tone="danger" size="small" disabled={isPending} onClick={() => void cancelSession(session)}>
          Cancel all of this session
        </Button>
      )}
      <Problem error={error} />
    </div>
  );
}

const isOfDelegation = ({ kind }: Event): boolean => kind.startsWith('delegation.');

interface ListProps {
  readonly status: string;
  readonly session: string;
}

function List({ status, session }: ListProps): ReactNode {
  const pages = useLivePages({
    key: ['delegations', status, session],
    list: (client, signal) =>
      client.delegations.list(
        { ...(status === '' ? {} : { status }), ...(session === '' ? {} : { session_id: session }) },
        { signal },
      ),
    rowsOf: (page) => page.delegations,
    isTouchedBy: isOfDelegation,
  });
  const { rows, error } = pages;
  return (
    <>
      <Problem error={error} />
      {rows === undefined && error === null && <p className="muted">Loading …</p>}
      {rows?.length === 0 && <NoDelegations isFiltered={status !== '' || session !== ''} />}
      <ul className="delegations-list">
        {rows?.map((delegation) => (
          <Row key={delegation.id} delegation={delegation} />
        ))}
      </ul>
      <ShowMore pages={pages} atBound="Only the newest are shown. Narrow the list by status or session." />
    </>
  );
}

function NoDelegations({ isFiltered }: { readonly isFiltered: boolean }): ReactNode {
  if (isFiltered) return <EmptyState title="No delegation is like that." />;
  return (
    <EmptyState
      title="Nothing was delegated yet"
      commands={[
        'lanekeeper delegate --goal "ship 2.0" --session s1 --task "factory: build the release" --task "qa: test what is on main"',
        'lanekeeper check deleg_…',
        'lanekeeper collect deleg_… --timeout 10m',
      ]}
    >
      <p>A delegation is a group of tasks with one result, which comes back to where it was asked for.</p>
    </EmptyState>
  );
}

function Row({ delegation }: { readonly delegation: Delegation }): ReactNode {
  const { board } = useClient();
  const ended = useEnded(delegation);
  const title = useTitle(delegation);
  const { id, status, tasks, origin, capacity_key: capacity, created_at: createdAt, reason } = delegation;
  const from = originText(origin);
  return (
    <li className="delegations-row">
      <h2>
        <Link href={`~${linkToDelegation(board, id)}`}>{title}</Link>
      </h2>
      <p className="delegations-facts">
        <Chip kind={status}>{DELEGATION_STATUS_LABELS[status]}</Chip>
        <ProgressBar ended={ended} total={tasks.length} />
        <span className="muted">{joinText(delegation)}</span>
        <Deadline delegation={delegation} />
      </p>
      <p className="delegations-facts muted small">
        <span>
          created <Ago at={createdAt} />
        </span>
        {from !== '' && <span>from {from}</span>}
        {capacity !== null && <span>capacity {capacity}</span>}
        {reason !== null && <span>{reason}</span>}
      </p>
    </li>
  );
}
