/** What a delegation was asked for with. */
import type { ReactNode } from 'react';
import { Link } from 'wouter';
import type { Delegation } from '../../client/index.ts';
import { useClient } from '../live/live-context.tsx';
import { linkToPage } from '../shell/links.ts';
import { ActorName } from '../task/actor-name.tsx';
import { CopyButton } from '../ui/copy-button.tsx';
import { Ago } from '../ui/time.tsx';
import { Deadline } from './deadline.tsx';
import { joinText, originText } from './delegation-words.ts';

export function Facts({ delegation }: { readonly delegation: Delegation }): ReactNode {
  const { id, reason, capacity_key: capacity, depth, created_by: by } = delegation;
  const { on_blocked: onBlocked, on_decided: onDecided, deadline_at: deadlineAt } = delegation;
  const { created_at: createdAt, completed_at: completedAt } = delegation;
  return (
    <dl className="facts">
      <dt>Id</dt>
      <dd>
        <code>{id}</code> <CopyButton text={id} label="Copy id" />
      </dd>
      <Fact name="Reason">{reason}</Fact>
      <Fact name="Join">
        {joinText(delegation)}
        {onBlocked === 'wait' ? '; waits for blocked children' : ''}
        {onDecided === 'leave' ? '; what has not ended by then goes on' : ''}
      </Fact>
      <Fact name="Deadline">
        {deadlineAt === null ? null : (
          <>
            {deadlineAt} <Deadline delegation={delegation} />
          </>
        )}
      </Fact>
      <Origin delegation={delegation} />
      <Fact name="Capacity key">{capacity}</Fact>
      <Fact name="Depth">{depth > 1 ? depth : null}</Fact>
      <Fact name="Created">
        <Ago at={createdAt} /> by <ActorName actor={by} />
      </Fact>
      <Fact name="Decided">{completedAt === null ? null : <Ago at={completedAt} />}</Fact>
    </dl>
  );
}

interface FactProps {
  readonly name: string;
  /** null: nothing to say. */
  readonly children: ReactNode;
}

function Fact({ name, children }: FactProps): ReactNode {
  if (children === null) return null;
  return (
    <>
      <dt>{name}</dt>
      <dd>{children}</dd>
    </>
  );
}

function Origin({ delegation: { origin } }: { readonly delegation: Delegation }): ReactNode {
  const { board } = useClient();
  const text = originText(origin);
  if (origin === null || text === '') return null;
  const { session_id: session, user_id: user, context } = origin;
  return (
    <>
      <dt>Origin</dt>
      <dd>
        {text}
        {user !== null && `, user ${user}`}
        {session !== null && (
          <>
            {' · '}
            <Link href={`~${linkToPage(board, 'delegations')}?session_id=${encodeURIComponent(session)}`}>
              all of this session
            </Link>
          </>
        )}
        {context !== null && <p className="muted wrap">{context}</p>}
      </dd>
    </>
  );
}
