/** The children in their order: where each is right now, and once it is decided what its last run came to and how long it took. */

import type { ReactNode } from 'react';
import { Link } from 'wouter';
import type { Delegation, DelegationResult, Task } from '../../client/index.ts';
import { useCard, useClient } from '../live/live-context.tsx';
import { linkToTask } from '../shell/links.ts';
import { LaneLink } from '../task/task-links.tsx';
import { LeaseCountdown } from '../ui/lease-countdown.tsx';
import { progressText } from '../ui/progress-words.ts';
import { Chip, StatusChip } from '../ui/status-chip.tsx';
import { shortDuration } from '../ui/time.tsx';

interface ChildrenProps {
  readonly delegation: Delegation;
  readonly tasks: readonly Task[];
}

export function Children({ delegation, tasks }: ChildrenProps): ReactNode {
  const byId = new Map(tasks.map((task) => [task.id, task]));
  const results = new Map((delegation.results ?? []).map((result) => [result.task_id, result]));
  return (
    <ol className="delegations-children">
      {delegation.tasks.map((id) => (
        <Child key={id} id={id} task={byId.get(id)} result={results.get(id)} />
      ))}
    </ol>
  );
}

interface ChildProps {
  readonly id: string;
  /** undefined: archived or deleted. */
  readonly task: Task | undefined;
  /** undefined: not decided yet. */
  readonly result: DelegationResult | undefined;
}

function Child({ id, task, result }: ChildProps): ReactNode {
  const { board } = useClient();
  const card = useCard(id);
  const status = card?.status ?? task?.status ?? result?.status;
  const claim = card?.claim ?? null;
  return (
    <li className="delegations-child">
      <Link href={`~${linkToTask(board, id)}`}>{card?.title ?? task?.title ?? result?.title ?? id}</Link>
      <span className="delegations-facts">
        {status === undefined ? (
          <Chip kind="archived">Not there any more</Chip>
        ) : (
          <StatusChip status={status} />
        )}
        <span>
          lane <LaneLink lane={card?.lane ?? task?.lane ?? result?.lane ?? null} />
        </span>
        {claim !== null && (
          <>
            <span className="muted">{claim.worker}</span>
            {claim.progress !== null && <span>{progressText(claim.progress)}</span>}
            {claim.note !== null && <span className="muted">{claim.note}</span>}
            <LeaseCountdown expiresAtMs={claim.leaseExpiresAtMs} sinceMs={claim.claimedAtMs} />
          </>
        )}
        {result !== undefined && <Outcome result={result} />}
      </span>
    </li>
  );
}

export function Outcome({ result }: { readonly result: DelegationResult }): ReactNode {
  const { outcome, duration_seconds: seconds } = result;
  return (
    <>
      <Chip kind={outcome ?? 'none'}>{outcome === null ? 'never begun' : outcome.replaceAll('_', ' ')}</Chip>
      {seconds !== null && <span className="muted">took {shortDuration(seconds)}</span>}
    </>
  );
}
