/** One delegation: what it is for, how far its children are, and what came of it all. */
import { type ReactNode, useState } from 'react';
import { Link } from 'wouter';
import type { Client, Delegation, Event, Task } from '../../client/index.ts';
import { useClient, useLiveQuery } from '../live/live-context.tsx';
import { useSession } from '../session/session-context.tsx';
import { linkToPage } from '../shell/links.ts';
import { TaskPanel } from '../task/task-panel.tsx';
import { Button } from '../ui/button.tsx';
import { PageHeader } from '../ui/page-header.tsx';
import { Problem } from '../ui/problem.tsx';
import { Chip } from '../ui/status-chip.tsx';
import { Children } from './delegation-children.tsx';
import { Facts } from './delegation-facts.tsx';
import { Results } from './delegation-results.tsx';
import { Returns } from './delegation-returns.tsx';
import { DELEGATION_STATUS_LABELS, hasEnded } from './delegation-words.ts';
import './delegations.css';
import { ProgressBar, useEnded, useTitle } from './progress-bar.tsx';
import { useDelegationActions } from './use-delegation-actions.ts';

/** As many as a delegation can have. */
const CHILDREN_MAX = '100';

interface ReadDelegation {
  readonly delegation: Delegation;
  readonly children: readonly Task[];
}

async function readDelegation(client: Client, id: string, signal: AbortSignal): Promise<ReadDelegation> {
  const [{ delegation }, { tasks }] = await Promise.all([
    client.delegations.get(id, { signal }),
    client.tasks.list({ delegation: id, limit: CHILDREN_MAX }, { signal }),
  ]);
  return { delegation, children: tasks };
}

export function DelegationPage({ id }: { readonly id: string }): ReactNode {
  const { data, error } = useLiveQuery({
    key: ['delegation', id],
    read: (client, signal) => readDelegation(client, id, signal),
    // How its children move is on their cards; what they came to is in it once it is decided.
    isTouchedBy: (event: Event) => event.delegation_id === id,
  });
  if (data === undefined)
    return (
      <>
        <PageHeader title="Delegation" />
        {error === null ? <p className="muted">Loading …</p> : <Problem error={error} />}
      </>
    );
  return <Shown {...data} error={error} />;
}

interface ShownProps extends ReadDelegation {
  readonly error: Error | null;
}

function Shown({ delegation, children, error }: ShownProps): ReactNode {
  const { board } = useClient();
  const { may } = useSession();
  const ended = useEnded(delegation);
  const title = useTitle(delegation);
  const { id, context, status, tasks, results } = delegation;
  return (
    <>
      <p className="small">
        <Link href={`~${linkToPage(board, 'delegations')}`}>Delegations</Link>
      </p>
      <PageHeader title={title}>
        <Chip kind={status}>{DELEGATION_STATUS_LABELS[status]}</Chip>
        <ProgressBar ended={ended} total={tasks.length} />
      </PageHeader>
      <Problem error={error} />
      {may.operate && status === 'running' && <Actions delegation={delegation} tasks={children} />}
      <div className="delegations-panels">
        <TaskPanel title="About">
          <Facts delegation={delegation} />
          {context !== null && (
            <details className="delegations-context">
              <summary>Context</summary>
              <p className="wrap">{context}</p>
            </details>
          )}
        </TaskPanel>
        <TaskPanel title="Children">
          <Children delegation={delegation} tasks={children} />
        </TaskPanel>
        {results !== null && <Results delegation={delegation} results={results} />}
        {may.readDeliveries && <Returns delegation={id} />}
      </div>
    </>
  );
}

interface ActionsProps {
  readonly delegation: Delegation;
  readonly tasks: readonly Task[];
}

function Actions({ delegation, tasks }: ActionsProps): ReactNode {
  const { steer, cancel, cancelSession, isPending, error } = useDelegationActions();
  const [told, setTold] = useState<string | null>(null);
  const session = delegation.origin?.session_id ?? null;
  const targets = tasks.filter(({ status }) => !hasEnded(status, delegation.on_blocked));
  return (
    <div className="delegations-actions">
      <Button
        tone="primary"
        disabled={isPending}
        onClick={() => {
          void steer(delegation, targets).then(setTold);
        }}
      >
        Steer
      </Button>
      <Button tone="danger" disabled={isPending} onClick={() => void cancel(delegation)}>
        Cancel delegation
      </Button>
      {session !== null && (
        <Button tone="danger" disabled={isPending} onClick={() => void cancelSession(session)}>
          Cancel all of session {session}
        </Button>
      )}
      {told !== null && <span className="muted">{told}.</span>}
      <Problem error={error} />
    </div>
  );
}
