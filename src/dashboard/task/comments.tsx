/** What people and workers have said about the task; the next attempt reads it. Plain text. */
import './comments.css';
import { type FormEvent, type ReactNode, useId, useState } from 'react';
import { useClient, useLiveQuery } from '../live/live-context.tsx';
import { useSession } from '../session/session-context.tsx';
import { Button } from '../ui/button.tsx';
import { useNotify } from '../ui/notices.tsx';
import { Problem } from '../ui/problem.tsx';
import { Ago } from '../ui/time.tsx';
import { ActorName } from './actor-name.tsx';
import { gather } from './gathered.ts';
import { TaskPanel } from './task-panel.tsx';

/** More than anybody reads, at 64 KiB each at the most. */
const COMMENTS_MAX = 400;
/** The largest page there is. */
const PAGE_ROWS = 200;

export function Comments({ taskId }: { readonly taskId: string }): ReactNode {
  const { may } = useSession();
  const { data, error, refetch } = useLiveQuery({
    key: ['comments', taskId],
    read: (client, signal) =>
      gather(client.tasks.comments(taskId, { limit: PAGE_ROWS }, { signal }), COMMENTS_MAX, signal),
    // An answer to a block is a comment, too.
    isTouchedBy: ({ kind, task_id: task }) =>
      task === taskId && (kind === 'task.commented' || kind === 'task.unblocked'),
  });
  return (
    <TaskPanel title="Comments" aside={<span className="muted">{data?.rows.length || ''}</span>}>
      {data === undefined && <Problem error={error} />}
      {data?.rows.length === 0 && <p className="muted">No comments.</p>}
      <ul className="task-comments">
        {data?.rows.map(({ id, body, author, at }) => (
          <li key={id}>
            <p className="muted small">
              <ActorName actor={author} /> · <Ago at={at} />
            </p>
            <p className="wrap">{body}</p>
          </li>
        ))}
      </ul>
      {data?.isMore && <p className="warning">There are more: the first {COMMENTS_MAX} are shown.</p>}
      {may.operate && <CommentForm taskId={taskId} onSaid={() => void refetch()} />}
    </TaskPanel>
  );
}

interface CommentFormProps {
  readonly taskId: string;
  readonly onSaid: () => void;
}

function CommentForm({ taskId, onSaid }: CommentFormProps): ReactNode {
  const id = useId();
  const client = useClient();
  const notify = useNotify();
  const [text, setText] = useState('');
  const [error, setError] = useState<unknown>(null);
  const [isPending, setPending] = useState(false);
  const say = async (): Promise<void> => {
    if (text.trim() === '' || isPending) return;
    setPending(true);
    setError(null);
    try {
      await client.tasks.comment(taskId, text);
      setText('');
      onSaid();
    } catch (refused) {
      setError(refused);
      notify.problem('Comment', refused);
    } finally {
      setPending(false);
    }
  };
  return (
    <form
      className="task-comment-form"
      onSubmit={(event: FormEvent) => {
        event.preventDefault();
        void say();
      }}
    >
      <label htmlFor={id}>Comment</label>
      <textarea
        id={id}
        name="comment"
        rows={3}
        value={text}
        placeholder="The next attempt reads it"
        onChange={(event) => setText(event.target.value)}
        onKeyDown={(event) => {
          if (event.key === 'Enter' && (event.ctrlKey || event.metaKey)) void say();
        }}
      />
      <Button type="submit" disabled={isPending || text.trim() === ''} title="Ctrl + Enter">
        Add comment
      </Button>
      <Problem error={error} />
    </form>
  );
}
