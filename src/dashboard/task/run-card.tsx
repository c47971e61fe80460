/** One attempt: who made it, how it ended, and what it has left behind. */
import type { ReactNode } from 'react';
import type { Run } from '../../client/index.ts';
import { useSession } from '../session/session-context.tsx';
import { Chip } from '../ui/status-chip.tsx';
import { useTick } from '../ui/ticker.ts';
import { Ago } from '../ui/time.tsx';
import { ActorName } from './actor-name.tsx';
import { Artifacts } from './artifact-list.tsx';
import { JsonView } from './json-view.tsx';
import { outcomeLabel, runDuration } from './run-words.ts';
import { Fact } from './task-facts.tsx';
import { LaneLink } from './task-links.tsx';

interface RunCardProps {
  readonly run: Run;
  /** What it has left behind stands open. */
  readonly isOpen?: boolean;
}

export function RunCard({ run, isOpen = false }: RunCardProps): ReactNode {
  return (
    <article className="task-run" aria-label={`Attempt ${run.attempt}`} data-attempt={run.attempt}>
      <h3 className="task-run-head">
        Attempt {run.attempt}
        <Chip kind={run.outcome ?? 'running'}>{outcomeLabel(run.outcome)}</Chip>
      </h3>
      <RunFacts run={run} />
      {run.summary !== null && <p className="wrap">{run.summary}</p>}
      {run.error !== null && <p className="problem">{run.error}</p>}
      <RunRemains run={run} isOpen={isOpen} />
    </article>
  );
}

export function RunFacts({ run, children }: { readonly run: Run; readonly children?: ReactNode }): ReactNode {
  return (
    <dl className="facts">
      <Fact name="Lane">{run.lane === null ? 'none: by hand' : <LaneLink lane={run.lane} />}</Fact>
      <Fact name="Owner">{run.worker === null ? <span className="muted">no worker</span> : run.worker}</Fact>
      <Fact name="Started">
        <Ago at={run.started_at} />
      </Fact>
      <Fact name={run.ended_at === null ? 'Running for' : 'Took'}>
        <RunDuration run={run} />
      </Fact>
      {run.ended_by !== null && (
        <Fact name="Ended by">
          <ActorName actor={run.ended_by} />
        </Fact>
      )}
      {children}
    </dl>
  );
}

function RunDuration({ run }: { readonly run: Run }): ReactNode {
  const { clock } = useSession();
  useTick();
  return runDuration(run, clock.now());
}

export function RunRemains({ run, isOpen }: { readonly run: Run; readonly isOpen: boolean }): ReactNode {
  return (
    <>
      <Artifacts metadata={run.metadata} />
      <JsonView title="Metadata" value={run.metadata} isOpen={isOpen} />
      <JsonView title="Result" value={run.result} isOpen={isOpen} />
      <JsonView title="Checkpoint" value={run.checkpoint} />
      <JsonView title="Evidence" value={run.evidence} />
    </>
  );
}
