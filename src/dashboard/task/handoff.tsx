/** The text that a worker which claims the task now would read. */
import type { ReactNode } from 'react';
import { useLiveQuery } from '../live/live-context.tsx';
import { CopyButton } from '../ui/copy-button.tsx';
import { Problem } from '../ui/problem.tsx';

const QUIET = /^task\.(heartbeat|progress)$/;

export function Handoff({ taskId }: { readonly taskId: string }): ReactNode {
  const { data, error } = useLiveQuery({
    key: ['context', taskId],
    read: (client, signal) => client.tasks.context(taskId, { signal }),
    isTouchedBy: ({ kind, task_id: task }) => task === taskId && !QUIET.test(kind),
  });
  if (data === undefined) return <Problem error={error} />;
  return (
    <>
      <CopyButton text={data.text} label="Copy text" />
      <pre className="wrap task-handoff">{data.text}</pre>
    </>
  );
}
