/** Whom the task waits for and who waits for it: two lists, and all of it as a drawing for those who ask for it. */
import { lazy, type ReactNode, Suspense, useRef, useState } from 'react';
import { type Event, LanekeeperError, type Task } from '../../client/index.ts';
import { useClient, useLiveQuery } from '../live/live-context.tsx';
import { useSession } from '../session/session-context.tsx';
import { useAsk } from '../ui/ask.tsx';
import { Button } from '../ui/button.tsx';
import { useNotify } from '../ui/notices.tsx';
import { Problem } from '../ui/problem.tsx';
import { familyOf, nearestOf, type Relative, type TaskGraph } from './family.ts';
import { FamilyTaskLink, TaskIdLink } from './task-links.tsx';
import { TaskPanel } from './task-panel.tsx';

const FamilyGraph = lazy(async () => ({ default: (await import('./family-graph.tsx')).FamilyGraph }));

const QUIET = /^task\.(heartbeat|progress|commented|steered|message)/;

type Kin = 'parent' | 'child';

interface Linking {
  readonly link: (kin: Kin) => Promise<void>;
  readonly unlink: (kin: Kin, other: Relative) => Promise<void>;
  readonly error: unknown;
}

export function FamilyPanel({ task }: { readonly task: Task }): ReactNode {
  const { may } = useSession();
  const [isDrawn, setDrawn] = useState(false);
  const known = useRef<ReadonlySet<string>>(new Set([task.id]));
  const { data, error } = useLiveQuery<TaskGraph>({
    key: ['graph', task.id],
    read: async (client, signal) => {
      const graph = await client.tasks.graph(task.id, { signal });
      known.current = new Set([task.id, ...graph.nodes.map(({ id }) => id)]);
      return graph;
    },
    isTouchedBy: (event) => !QUIET.test(event.kind) && isOf(known.current, event),
  });
  const linking = useLinking(task);
  const { parents, children } = data === undefined ? { parents: [], children: [] } : familyOf(data, task.id);
  const isAlone = parents.length + children.length === 0;
  return (
    <TaskPanel
      title="Parents and children"
      aside={
        !isAlone && (
          <Button size="small" aria-pressed={isDrawn} onClick={() => setDrawn(!isDrawn)}>
            Drawing
          </Button>
        )
      }
    >
      <Problem error={data === undefined ? error : null} />
      <h3 className="task-small-head" id="parents">
        Waits for {parents.length > 0 && `(${parents.length})`}
      </h3>
      <Relatives kin="parent" tasks={parents} linking={may.operate ? linking : null} />
      <h3 className="task-small-head">Waited for by {children.length > 0 && `(${children.length})`}</h3>
      <Relatives kin="child" tasks={children} linking={may.operate ? linking : null} />
      {data?.truncated && <p className="warning">There are more: the nearest are shown.</p>}
      <LinkProblem error={linking.error} />
      {isDrawn && data !== undefined && (
        <Suspense fallback={<p className="muted">Drawing …</p>}>
          <FamilyGraph graph={nearestOf(data, task.id)} id={task.id} />
        </Suspense>
      )}
    </TaskPanel>
  );
}

function isOf(ids: ReadonlySet<string>, { task_id: task, data }: Event): boolean {
  const { parent } = data;
  return (task !== undefined && ids.has(task)) || (typeof parent === 'string' && ids.has(parent));
}

interface RelativesProps {
  readonly kin: Kin;
  readonly tasks: readonly Relative[];
  /** null: this person may not change them. */
  readonly linking: Linking | null;
}

const NAMES: Readonly<Record<Kin, string>> = { parent: 'Add parent', child: 'Add child' };

function Relatives({ kin, tasks, linking }: RelativesProps): ReactNode {
  return (
    <>
      {tasks.length === 0 && <p className="muted">Nothing.</p>}
      <ul className="task-links">
        {tasks.map((task) => (
          <li key={task.id} data-task={task.id}>
            <FamilyTaskLink task={task} />
            {!task.isMet && <span className="muted small"> not met</span>}
            {linking !== null && (
              <Button
                size="small"
                tone="ghost"
                aria-label={`Unlink ${task.title}`}
                title="Unlink"
                onClick={() => void linking.unlink(kin, task)}
              >
                ✕
              </Button>
            )}
          </li>
        ))}
      </ul>
      {linking !== null && (
        <Button size="small" onClick={() => void linking.link(kin)}>
          {NAMES[kin]}
        </Button>
      )}
    </>
  );
}

function useLinking(task: Task): Linking {
  const client = useClient();
  const ask = useAsk();
  const notify = useNotify();
  const [error, setError] = useState<unknown>(null);
  const attempt = async (what: string, act: () => Promise<unknown>): Promise<void> => {
    setError(null);
    try {
      await act();
      notify.done(what);
    } catch (refused) {
      setError(refused);
      notify.problem(what, refused);
    }
  };
  return {
    error,
    link: async (kin) => {
      const answers = await ask({
        title: NAMES[kin],
        text:
          kin === 'parent'
            ? 'This task waits until the other is done.'
            : 'The other waits until this task is done.',
        fields: [
          { name: 'other', label: 'Id or external ref of the other task', kind: 'text', isRequired: true },
        ],
        action: NAMES[kin],
      });
      const other = answers?.['other'];
      if (!other) return;
      await attempt(NAMES[kin], () =>
        kin === 'parent' ? client.tasks.link(task.id, other) : client.tasks.link(other, task.id),
      );
    },
    unlink: async (kin, other) => {
      const [child, parent] = kin === 'parent' ? [task.id, other.id] : [other.id, task.id];
      const answers = await ask({
        title: `Unlink: ${other.title}`,
        text: 'A task whose last open parent is taken away goes on at once.',
        action: 'Unlink',
        isDestructive: true,
      });
      if (answers !== null) await attempt('Unlink', () => client.tasks.unlink(child, parent));
    },
  };
}

/** Of tasks that would wait for each other: the way round, to be gone. */
function LinkProblem({ error }: { readonly error: unknown }): ReactNode {
  const path = error instanceof LanekeeperError ? error.problem['path'] : undefined;
  const ids = Array.isArray(path) ? path.filter((id): id is string => typeof id === 'string') : [];
  return (
    <>
      <Problem error={error} />
      {ids.length > 0 && (
        <ol className="task-links task-circle" aria-label="The way round">
          {ids.map((id, index) => (
            // biome-ignore lint/suspicious/noArrayIndexKey: a way round ends where it begins, and never changes
            <li key={index}>
              <TaskIdLink id={id} />
            </li>
          ))}
        </ol>
      )}
    </>
  );
}
