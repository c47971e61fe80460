/** The log of the board: what happens, and as far back as anybody scrolls what happened. */
import './activity.css';
import { type ReactNode, useMemo } from 'react';
import { useSearchParams } from 'wouter';
import { useClient } from '../live/live-context.tsx';
import { firstCommands } from '../shell/first-commands.ts';
import { Button } from '../ui/button.tsx';
import { CopyButton } from '../ui/copy-button.tsx';
import { EmptyState } from '../ui/empty-state.tsx';
import { PageHeader } from '../ui/page-header.tsx';
import { Problem } from '../ui/problem.tsx';
import { type ActivityFilter, isSearching, readFilter, writeFilter } from './activity-filter.ts';
import { ActivityFilters } from './activity-filters.tsx';
import { ActivityList } from './activity-list.tsx';
import { type Activity, useActivity } from './use-activity.ts';

export function ActivityPage(): ReactNode {
  const [parameters, setParameters] = useSearchParams();
  const filter = useMemo(() => readFilter(parameters), [parameters]);
  const activity = useActivity(filter);
  const change = (part: Partial<ActivityFilter>): void =>
    setParameters((before) => writeFilter({ ...readFilter(before), ...part }), { replace: true });
  return (
    <div className="activity">
      <PageHeader title="Activity">
        <CopyButton text={() => location.href} label="Copy link" />
      </PageHeader>
      <ActivityFilters filter={filter} onChange={change} />
      {filter.at !== '' && (
        <p className="activity-past">
          The log as it was up to one event. <Button onClick={() => change({ at: '' })}>Back to now</Button>
        </p>
      )}
      <Problem error={activity.error} />
      {activity.events.length === 0 && !activity.isReading ? (
        <Nothing isFiltered={parameters.size > 0} />
      ) : (
        <ActivityList activity={activity} />
      )}
      <Foot activity={activity} isSearch={isSearching(filter)} />
    </div>
  );
}

function Nothing({ isFiltered }: { readonly isFiltered: boolean }): ReactNode {
  const { board } = useClient();
  if (isFiltered) return <EmptyState title="Nothing matches" />;
  return <EmptyState title="Nothing has happened yet" commands={firstCommands(board)} />;
}

function Foot({
  activity,
  isSearch,
}: {
  readonly activity: Activity;
  readonly isSearch: boolean;
}): ReactNode {
  const { events, isReading, isAtStart, oldest, error, readOlder } = activity;
  return (
    <div className="activity-foot small muted">
      <span>
        {events.length} events{isAtStart ? ', back to the beginning of the log' : ''}
        {isSearch && oldest !== undefined && `; looked back to #${oldest.seq} of ${oldest.at}`}
      </span>
      {isReading && <span>Reading …</span>}
      {!isReading && !isAtStart && (
        <Button size="small" onClick={readOlder}>
          {error === null ? 'Read further back' : 'Try again'}
        </Button>
      )}
    </div>
  );
}
