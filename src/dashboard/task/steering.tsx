/** Telling the holder of a task something while it works, and what became of it. */
import './steering.css';
import {
  type FormEvent,
  type KeyboardEvent,
  type ReactNode,
  useEffect,
  useId,
  useRef,
  useState,
} from 'react';
import type { Message } from '../../client/index.ts';
import type { TaskStatus } from '../live/card.ts';
import { useBoardView, useClient, useLiveQuery } from '../live/live-context.tsx';
import { useSession } from '../session/session-context.tsx';
import { Button } from '../ui/button.tsx';
import { Problem } from '../ui/problem.tsx';
import { Chip } from '../ui/status-chip.tsx';
import { Ago } from '../ui/time.tsx';
import {
  isOver,
  lookEveryMs,
  RECENT_MS,
  STATE_NEWS,
  STATE_WORDS,
  stepsOf,
  whatWillHappen,
} from './steering-words.ts';

interface SteeringProps {
  readonly taskId: string;
  readonly status: TaskStatus;
}

/** Pinned by the API. */
const MESSAGE_CHARACTERS_MAX = 4000;

export function Steering({ taskId, status }: SteeringProps): ReactNode {
  const { may } = useSession();
  const isPaused = useBoardView().connection === 'paused';
  const [everyMs, setEveryMs] = useState<number | null>(null);
  const { data, error, refetch } = useLiveQuery({
    key: ['messages', taskId],
    read: (client, signal) => client.tasks.messages(taskId, { signal }),
    isTouchedBy: ({ task_id: task, kind }) =>
      task === taskId && kind !== 'task.heartbeat' && kind !== 'task.progress',
    ...(everyMs === null ? {} : { everyMs }),
  });
  const messages = data?.messages ?? NO_MESSAGES;
  const isRecent = useRecent(messages);
  useEffect(
    () => setEveryMs(lookEveryMs({ status, messages, isRecent, isPaused })),
    [status, messages, isRecent, isPaused],
  );
  return (
    <div className="steering">
      {may.operate && <SteeringForm taskId={taskId} status={status} onSent={() => void refetch()} />}
      <Problem error={error} />
      {messages.length > 0 && (
        <ul className="steering-list" aria-label="Messages">
          {messages.toReversed().map((message) => (
            <SteeringMessage key={message.id} message={message} />
          ))}
        </ul>
      )}
      {data !== undefined && messages.length === 0 && (
        <p className="muted small">
          {may.operate
            ? 'Nobody has told it anything yet.'
            : 'Nobody has told it anything. This key may look, not steer.'}
        </p>
      )}
    </div>
  );
}

const NO_MESSAGES: readonly Message[] = [];

/** Whether they have changed within the last minute; what was read and is the same stays the same array. */
function useRecent(messages: readonly Message[]): boolean {
  const [isRecent, setRecent] = useState(true);
  // biome-ignore lint/correctness/useExhaustiveDependencies: it is what a minute is counted from.
  useEffect(() => {
    setRecent(true);
    const timer = setTimeout(() => setRecent(false), RECENT_MS);
    return () => clearTimeout(timer);
  }, [messages]);
  return isRecent;
}

interface SteeringFormProps extends SteeringProps {
  readonly onSent: () => void;
}

function SteeringForm({ taskId, status, onSent }: SteeringFormProps): ReactNode {
  const client = useClient();
  const [text, setText] = useState('');
  const [isSending, setSending] = useState(false);
  const [error, setError] = useState<unknown>(null);
  const field = useRef<HTMLTextAreaElement>(null);
  const hint = useId();
  const send = async (event?: FormEvent): Promise<void> => {
    event?.preventDefault();
    if (text.trim() === '' || isSending) return;
    setSending(true);
    setError(null);
    try {
      await client.tasks.steer(taskId, text);
      setText('');
      onSent();
    } catch (refused) {
      // The text stays, to be sent again.
      setError(refused);
    } finally {
      setSending(false);
      field.current?.focus();
    }
  };
  const onKeyDown = (event: KeyboardEvent): void => {
    if (event.key === 'Enter' && (event.ctrlKey || event.metaKey)) void send();
  };
  return (
    <form className="steering-form" onSubmit={(event) => void send(event)}>
      <label htmlFor={`${hint}-field`} className="visually-hidden">
        Message to the worker
      </label>
      <textarea
        ref={field}
        id={`${hint}-field`}
        name="steer"
        rows={3}
        maxLength={MESSAGE_CHARACTERS_MAX}
        placeholder="Tell the worker something …"
        aria-describedby={hint}
        value={text}
        onChange={(event) => setText(event.target.value)}
        onKeyDown={onKeyDown}
      />
      <div className="steering-send">
        <p id={hint} className={isOver(status) ? 'small steering-missed' : 'small muted'}>
          {whatWillHappen(status)}
        </p>
        <Button type="submit" tone="primary" disabled={isSending || text.trim() === ''} title="Ctrl+Enter">
          {isSending ? 'Sending …' : 'Send'}
        </Button>
      </div>
      <Problem error={error} />
    </form>
  );
}

function SteeringMessage({ message }: { readonly message: Message }): ReactNode {
  return (
    <li className="steering-message">
      <p className="steering-text">{message.text}</p>
      {/* What is told is the word alone: how long ago it was changes every second. */}
      <span className="visually-hidden" role="status">
        {STATE_NEWS[message.state]}
      </span>
      <ol className="steering-steps" aria-label="State">
        {stepsOf(message).map(({ state, at }) => (
          <li key={state}>
            <Chip kind={state}>{STATE_WORDS[state]}</Chip>{' '}
            {at !== null && (
              <span className="muted small">
                <Ago at={at} />
              </span>
            )}
          </li>
        ))}
      </ol>
      {message.run_id !== null && (
        <p className="muted small">
          told to <code>{message.run_id}</code>
        </p>
      )}
    </li>
  );
}
