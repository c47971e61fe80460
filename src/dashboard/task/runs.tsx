/** All attempts, the newest first; and of a finished task how it came out. */
import './runs.css';
import { type ReactNode, useState } from 'react';
import type { Event, Run, Task } from '../../client/index.ts';
import { useLiveQuery } from '../live/live-context.tsx';
import { Button } from '../ui/button.tsx';
import { Problem } from '../ui/problem.tsx';
import { Chip } from '../ui/status-chip.tsx';
import { Ago } from '../ui/time.tsx';
import { type Gathered, gather } from './gathered.ts';
import { RunCard, RunFacts, RunRemains } from './run-card.tsx';
import { finalRunOf, outcomeLabel } from './run-words.ts';
import { Fact } from './task-facts.tsx';
import { TaskPanel } from './task-panel.tsx';

/** The API gives the first attempt first: to show the last one, all before it are read, within reason. */
const RUNS_READ_MAX = 1000;
/** The largest page there is. */
const PAGE_ROWS = 200;
const RUNS_SHOWN = 10;

export interface Runs {
  readonly newestFirst: readonly Run[];
  readonly isMore: boolean;
}

const QUIET = /^task\.(heartbeat|commented|steered|message)/;

export function useRuns(taskId: string): { readonly runs: Runs | undefined; readonly error: unknown } {
  const { data, error } = useLiveQuery<Gathered<Run>>({
    key: ['runs', taskId],
    read: (client, signal) =>
      gather(client.tasks.runs(taskId, { limit: PAGE_ROWS }, { signal }), RUNS_READ_MAX, signal),
    isTouchedBy: ({ kind, task_id: task }: Event) => task === taskId && !QUIET.test(kind),
  });
  const runs = data === undefined ? undefined : { newestFirst: data.rows.toReversed(), isMore: data.isMore };
  return { runs, error };
}

interface RunsPanelProps {
  readonly runs: Runs | undefined;
  readonly error: unknown;
}

export function RunsPanel({ runs, error }: RunsPanelProps): ReactNode {
  const [shown, setShown] = useState(RUNS_SHOWN);
  const all = runs?.newestFirst ?? [];
  return (
    <TaskPanel title="Attempts" aside={<span className="muted">{all.length === 0 ? '' : all.length}</span>}>
      {runs === undefined && <Problem error={error} />}
      {runs !== undefined && all.length === 0 && <p className="muted">Nobody has claimed it yet.</p>}
      {runs?.isMore && (
        <p className="warning">
          There are more than {RUNS_READ_MAX}: the first {RUNS_READ_MAX} are shown.
        </p>
      )}
      <div className="task-runs">
        {all.slice(0, shown).map((run) => (
          <RunCard key={run.run_id} run={run} />
        ))}
      </div>
      {all.length > shown && (
        <Button size="small" onClick={() => setShown(shown + RUNS_SHOWN)}>
          {all.length - shown} older
        </Button>
      )}
    </TaskPanel>
  );
}

/** Of a finished task: lane, owner, outcome and what the last attempt has left behind. */
export function OutcomePanel({
  task,
  runs,
}: {
  readonly task: Task;
  readonly runs: Runs | undefined;
}): ReactNode {
  if (runs === undefined) return null;
  const run = finalRunOf(runs.newestFirst);
  return (
    <TaskPanel
      title="Final outcome"
      aside={run !== undefined && <Chip kind={run.outcome ?? 'running'}>{outcomeLabel(run.outcome)}</Chip>}
    >
      {run === undefined ? (
        <p className="muted">It was {task.status} before anybody claimed it.</p>
      ) : (
        <div className="task-outcome">
          <RunFacts run={run}>
            <Fact name="Attempt">{run.attempt}</Fact>
            {run.ended_at !== null && (
              <Fact name="Ended">
                <Ago at={run.ended_at} />
              </Fact>
            )}
          </RunFacts>
          {run.summary !== null && <p className="wrap task-summary">{run.summary}</p>}
          {run.error !== null && <p className="problem">{run.error}</p>}
          <RunRemains run={run} isOpen />
        </div>
      )}
    </TaskPanel>
  );
}
