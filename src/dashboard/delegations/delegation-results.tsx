/** The consolidated result: what each child came to, and all of it as one text or JSON to take along. */
import type { ReactNode } from 'react';
import { Link } from 'wouter';
import type { Delegation, DelegationResult } from '../../client/index.ts';
import { useClient } from '../live/live-context.tsx';
import { linkToTask } from '../shell/links.ts';
import { JsonView } from '../task/json-view.tsx';
import { TaskPanel } from '../task/task-panel.tsx';
import { CopyButton } from '../ui/copy-button.tsx';
import { LongText } from '../ui/long-text.tsx';
import { Outcome } from './delegation-children.tsx';

interface ResultsProps {
  readonly delegation: Delegation;
  readonly results: readonly DelegationResult[];
}

export function Results({ delegation, results }: ResultsProps): ReactNode {
  const { text } = delegation;
  const copies = (
    <span className="delegations-facts">
      {text !== null && <CopyButton text={text} label="Copy as text" />}
      <CopyButton text={JSON.stringify(results, null, 2)} label="Copy as JSON" />
    </span>
  );
  return (
    <TaskPanel title="Result" aside={copies}>
      <ol className="delegations-results">
        {results.map((result) => (
          <li key={result.task_id}>
            <Result result={result} />
          </li>
        ))}
      </ol>
      {text !== null && (
        <details>
          <summary>As it is told where it returns to</summary>
          <LongText label="The result as text" text={text} />
        </details>
      )}
    </TaskPanel>
  );
}

function Result({ result }: { readonly result: DelegationResult }): ReactNode {
  const { board } = useClient();
  const { task_id: task, title, summary, error, output_preview: output, metadata, truncated } = result;
  return (
    <article className="delegations-result">
      <p className="delegations-facts">
        <Link href={`~${linkToTask(board, task)}`}>{title}</Link>
        <Outcome result={result} />
      </p>
      {summary !== null && <p className="wrap">{summary}</p>}
      {error !== null && <p className="problem wrap">{error}</p>}
      <JsonView title="Result" value={result.result} isOpen />
      <JsonView title="Metadata" value={metadata} />
      {output !== null && output !== '' && (
        <details>
          <summary>End of its output</summary>
          <LongText label={`End of the output of ${title}`} text={output} />
        </details>
      )}
      {truncated.length > 0 && (
        <p className="muted small">Cut to fit: {truncated.join(', ')}. The task itself has all of it.</p>
      )}
    </article>
  );
}
