/** What the task asks for and what it has so far. Texts are shown as they are: nothing in them is markup. */
import type { ReactNode } from 'react';
import type { Task } from '../../client/index.ts';
import { CopyButton } from '../ui/copy-button.tsx';
import { isEmptyJson } from './json-tree.ts';
import { JsonView } from './json-view.tsx';
import { TaskPanel } from './task-panel.tsx';

const NOTHING = { summary: null, result: null, metadata: {} } as const;

interface ContentsProps {
  readonly task: Task;
  /** What came of it stands elsewhere already. */
  readonly isOutcomeShown?: boolean;
}

export function Contents({ task, isOutcomeShown = false }: ContentsProps): ReactNode {
  const { body, payload } = task;
  const { summary, result, metadata } = isOutcomeShown ? NOTHING : task;
  const hasBody = body !== null && body !== '';
  const isEmpty = !hasBody && summary === null && [payload, result, metadata].every(isEmptyJson);
  return (
    <TaskPanel title="Task" aside={hasBody && <CopyButton text={body} label="Copy body" />}>
      {isEmpty && <p className="muted">Its title says it all.</p>}
      {hasBody && <div className="wrap task-body">{body}</div>}
      {summary !== null && summary !== '' && (
        <>
          <h3 className="task-small-head">Summary</h3>
          <p className="wrap">{summary}</p>
        </>
      )}
      <JsonView title="Payload" value={payload} />
      <JsonView title="Result" value={result} />
      <JsonView title="Metadata of the last attempt" value={metadata} />
    </TaskPanel>
  );
}
