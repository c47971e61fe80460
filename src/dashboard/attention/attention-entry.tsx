/** One thing that waits for a person: what, why, since when, and what can be done about it right here. */
import { type ReactNode, useId, useRef, useState, useSyncExternalStore } from 'react';
import { Link } from 'wouter';
import { useShortcut } from '../keyboard/shortcuts.tsx';
import { useCard, useClient, useLiveBoard } from '../live/live-context.tsx';
import { useSession } from '../session/session-context.tsx';
import { linkToFilter, linkToLane, linkToTask } from '../shell/links.ts';
import { Button } from '../ui/button.tsx';
import { CopyButton } from '../ui/copy-button.tsx';
import { Problem } from '../ui/problem.tsx';
import { Chip, StatusChip } from '../ui/status-chip.tsx';
import { Ago } from '../ui/time.tsx';
import { type AttentionEntry, CODE_WORDS, keyOf } from './attention-words.ts';
import { MessageBox } from './message-box.tsx';
import { type Remedy, remediesOf } from './remedies.ts';
import { useRemedy } from './use-remedy.ts';

export const domIdOf = (key: string): string => `attention-${key}`;

interface EntryProps {
  readonly entry: AttentionEntry;
  /** The keys of the page are about it. */
  readonly isSelected: boolean;
  readonly onSelect: (key: string) => void;
  readonly onDone: () => void;
}

export function Entry({ entry, isSelected, onSelect, onDone }: EntryProps): ReactNode {
  const { task, code, since, detail } = entry;
  const key = keyOf(entry);
  const titleId = useId();
  const { label, chip, saysStatus = false } = CODE_WORDS[code];
  return (
    <li
      id={domIdOf(key)}
      className={isSelected ? 'attention-entry selected' : 'attention-entry'}
      tabIndex={-1}
      aria-labelledby={titleId}
      onFocus={() => onSelect(key)}
    >
      <div className="attention-head">
        <h2 id={titleId}>
          <Subject entry={entry} />
        </h2>
        <span className="attention-since muted">
          since <Ago at={since} suffix="" />
        </span>
      </div>
      <p className="attention-facts">
        <Chip kind={chip}>{label}</Chip>
        {task !== undefined && <TaskFacts task={task} isStatusSaid={saysStatus} />}
      </p>
      {detail !== '' && <p className="attention-detail wrap">{detail}</p>}
      <Remedies entry={entry} isSelected={isSelected} onDone={onDone} />
    </li>
  );
}

function Subject({ entry: { task, lane } }: { readonly entry: AttentionEntry }): ReactNode {
  const { board } = useClient();
  if (task !== undefined) return <Link href={`~${linkToTask(board, task.id)}`}>{task.title}</Link>;
  if (lane === undefined) return null;
  return <Link href={`~${linkToLane(board, lane)}`}>Lane {lane}</Link>;
}

interface TaskFactsProps {
  readonly task: NonNullable<AttentionEntry['task']>;
  readonly isStatusSaid: boolean;
}

function TaskFacts({ task: { status, lane, priority }, isStatusSaid }: TaskFactsProps): ReactNode {
  const { board } = useClient();
  return (
    <>
      {!isStatusSaid && <StatusChip status={status} />}
      {lane === null ? (
        <span className="muted">no lane</span>
      ) : (
        <span>
          lane <Link href={`~${linkToLane(board, lane)}`}>{lane}</Link>
        </span>
      )}
      {priority !== 0 && <span className="muted">priority {priority}</span>}
    </>
  );
}

interface RemediesProps {
  readonly entry: AttentionEntry;
  readonly isSelected: boolean;
  readonly onDone: () => void;
}

function Remedies({ entry, isSelected, onDone }: RemediesProps): ReactNode {
  const { task } = entry;
  const { may } = useSession();
  const board = useLiveBoard();
  // Not the whole view, which changes with every event of any task.
  const isBoardPaused = useSyncExternalStore(board.subscribe, () => board.view.isBoardPaused);
  const lanes = useSyncExternalStore(board.subscribe, () => board.view.lanes);
  const card = useCard(task?.id ?? '');
  const answerBox = useRef<HTMLTextAreaElement>(null);
  const [isSteering, setSteering] = useState(false);
  const remedy = useRemedy(task, onDone);
  const lane = lanes.get(entry.lane ?? task?.lane ?? '');
  const isLaneHalted = lane === undefined ? undefined : lane.paused || lane.draining;
  const remedies = remediesOf(entry, { may, isBoardPaused, isLaneHalted });
  const unblock = remedies.find((each) => isTaskAction(each, 'unblock'));
  const answers = unblock?.type === 'task' && card?.blocked?.kind === 'needs_input' ? unblock.action : null;
  const start = (name: string): void => {
    const found = remedies.find((each) => isTaskAction(each, name));
    if (found !== undefined && !remedy.isPending) void remedy.run(found);
  };
  const unblockOrAnswer = (): void => {
    if (answers === null) start('unblock');
    else answerBox.current?.focus();
  };
  useShortcut(
    { keys: 'u', label: 'Unblock, or answer', group: 'View', act: unblockOrAnswer },
    isSelected && unblock !== undefined,
  );
  useShortcut(
    { keys: 'a', label: 'Assign to a lane', group: 'View', act: () => start('assign') },
    isSelected && remedies.some((each) => isTaskAction(each, 'assign')),
  );
  const shown = answers === null ? remedies : remedies.filter((each) => each !== unblock);
  return (
    <>
      {answers !== null && (
        <MessageBox
          box={answerBox}
          label="Answer"
          action="Answer and unblock"
          isPending={remedy.isPending}
          onSend={(text) => remedy.answer(answers, text)}
        />
      )}
      <div className="attention-actions">
        {shown.map((each, index) => (
          <RemedyButton
            key={each.type === 'task' ? each.action.name : each.type}
            remedy={each}
            isFirst={index === 0 && answers === null}
            isPending={remedy.isPending}
            onRun={() => (each.type === 'steer' ? setSteering((is) => !is) : void remedy.run(each))}
          />
        ))}
      </div>
      {isSteering && (
        <MessageBox
          label="Message to its holder"
          action="Send"
          isPending={remedy.isPending}
          onSend={async (text) => {
            const isSent = await remedy.steer(text);
            if (isSent) setSteering(false);
            return isSent;
          }}
        />
      )}
      <Problem error={remedy.error} />
    </>
  );
}

function isTaskAction(remedy: Remedy, name: string): boolean {
  return remedy.type === 'task' && remedy.action.name === name;
}

interface RemedyButtonProps {
  readonly remedy: Remedy;
  readonly isFirst: boolean;
  readonly isPending: boolean;
  readonly onRun: () => void;
}

function RemedyButton({ remedy, isFirst, isPending, onRun }: RemedyButtonProps): ReactNode {
  const { board } = useClient();
  if (remedy.type === 'command')
    return (
      <div className="snippet attention-command">
        <pre className="wrap">{remedy.command}</pre>
        <CopyButton text={remedy.command} label="Copy command" />
      </div>
    );
  if (remedy.type === 'tasks_of_lane')
    return (
      <Link
        className="button plain small"
        href={`~${linkToFilter(board, `lane:${remedy.lane} status:ready`)}`}
      >
        Assign its tasks
      </Link>
    );
  return (
    <Button size="small" tone={toneOf(remedy, isFirst)} disabled={isPending} onClick={onRun}>
      {labelOf(remedy)}
    </Button>
  );
}

function toneOf(remedy: Remedy, isFirst: boolean): 'danger' | 'primary' | 'plain' {
  if (remedy.type === 'task' && remedy.action.isDestructive) return 'danger';
  return isFirst ? 'primary' : 'plain';
}

function labelOf(remedy: Remedy): string {
  switch (remedy.type) {
    case 'task':
      return remedy.action.label;
    case 'steer':
      return 'Send a message';
    case 'resume_lane':
      return `Resume lane ${remedy.lane}`;
    case 'register_lane':
      return `Register lane ${remedy.lane}`;
    case 'resume_board':
      return 'Resume the board';
    default:
      return '';
  }
}
