/** What is known of the task in a few words each. */
import type { ReactNode } from 'react';
import { Link } from 'wouter';
import type { Task } from '../../client/index.ts';
import { quoted } from '../board/filter/terms.ts';
import { useClient } from '../live/live-context.tsx';
import { linkToDelegation, linkToFilter } from '../shell/links.ts';
import { CopyButton } from '../ui/copy-button.tsx';
import { Ago, shortDuration } from '../ui/time.tsx';
import { ActorName } from './actor-name.tsx';
import { LaneLink } from './task-links.tsx';
import { TaskPanel } from './task-panel.tsx';

export function TaskFacts({ task }: { readonly task: Task }): ReactNode {
  return (
    <TaskPanel title="Facts">
      <dl className="facts">
        <Identity task={task} />
        <Place task={task} />
        <Fact name="Created">
          <Ago at={task.created_at} /> by <ActorName actor={task.created_by} />
        </Fact>
        <Fact name="Updated">
          <Ago at={task.updated_at} />, version {task.version}
        </Fact>
        <Fact name="In this status">
          <Ago at={task.status_since} suffix="" />
        </Fact>
        {task.finished_at !== null && (
          <Fact name="Finished">
            <Ago at={task.finished_at} />
          </Fact>
        )}
        <Limits task={task} />
        <Origin task={task} />
      </dl>
    </TaskPanel>
  );
}

export function Fact({ name, children }: { readonly name: string; readonly children: ReactNode }): ReactNode {
  return (
    <>
      <dt>{name}</dt>
      <dd>{children}</dd>
    </>
  );
}

function Identity({ task }: { readonly task: Task }): ReactNode {
  return (
    <>
      <Fact name="Id">
        <span className="mono">{task.id}</span> <CopyButton text={task.id} label="Copy id" />
      </Fact>
      {task.external_ref !== null && (
        <Fact name="External ref">
          <span className="mono">{task.external_ref}</span>
        </Fact>
      )}
      {task.idempotency_key !== null && (
        <Fact name="Idempotency key">
          <span className="mono">{task.idempotency_key}</span>
        </Fact>
      )}
    </>
  );
}

function Place({ task }: { readonly task: Task }): ReactNode {
  const { board } = useClient();
  return (
    <>
      <Fact name="Lane">
        <LaneLink lane={task.lane} />
      </Fact>
      {task.reviewer !== null && (
        <Fact name="Reviewer">
          <LaneLink lane={task.reviewer} />
        </Fact>
      )}
      <Fact name="Priority">{task.priority}</Fact>
      {Object.keys(task.labels).length > 0 && (
        <Fact name="Labels">
          <span className="task-labels">
            {Object.entries(task.labels).map(([name, value]) => (
              <Link
                key={name}
                className="task-label"
                href={`~${linkToFilter(board, `label:${quoted(`${name}=${value}`)}`)}`}
              >
                {name}: {value}
              </Link>
            ))}
          </span>
        </Fact>
      )}
      {task.tenant !== null && <Fact name="Tenant">{task.tenant}</Fact>}
      {task.delegation_id !== null && (
        <Fact name="Delegation">
          <Link href={`~${linkToDelegation(board, task.delegation_id)}`} className="mono">
            {task.delegation_id}
          </Link>
        </Fact>
      )}
    </>
  );
}

function Limits({ task }: { readonly task: Task }): ReactNode {
  const { base_seconds: base, factor, cap_seconds: cap } = task.backoff;
  return (
    <>
      <Fact name="Attempts">
        {task.attempt} begun, {task.consecutive_failures} of {task.max_failures} failures in a row
      </Fact>
      {task.max_runtime_seconds !== null && (
        <Fact name="May run for">{shortDuration(task.max_runtime_seconds)}</Fact>
      )}
      {task.no_progress_seconds !== null && (
        <Fact name="Idle for at most">{shortDuration(task.no_progress_seconds)}</Fact>
      )}
      <Fact name="Retry pause">
        {shortDuration(base)} × {factor}, at most {shortDuration(cap)}
      </Fact>
    </>
  );
}

function Origin({ task: { origin } }: { readonly task: Task }): ReactNode {
  if (origin === null) return null;
  const { context, ...parts } = origin;
  const said = Object.entries(parts).flatMap(([name, value]) =>
    value === null ? [] : [`${name}: ${value}`],
  );
  return (
    <>
      {said.length > 0 && <Fact name="Asked for from">{said.join(', ')}</Fact>}
      {context !== null && (
        <Fact name="Context">
          <span className="wrap">{context}</span>
        </Fact>
      )}
    </>
  );
}
