/** The drawing of a task's family. The lists beside it say the same in words; each box is a link that the keyboard reaches. */
import './family-graph.css';
import { type ReactNode, useEffect, useMemo, useRef } from 'react';
import { Link } from 'wouter';
import { useCard, useClient } from '../live/live-context.tsx';
import { linkToTask } from '../shell/links.ts';
import { STATUS_LABELS } from '../ui/status-chip.tsx';
import { DRAWN_TASKS_MAX, type TaskGraph } from './family.ts';
import {
  drawingOf,
  NODE_HEIGHT_PX,
  NODE_WIDTH_PX,
  type PlacedLink,
  type PlacedTask,
} from './graph-layout.ts';

/** What fits into a box at its size of type. */
const TITLE_CHARACTERS = 24;
const TEXT_X = 12;
const TITLE_Y = 20;
const STATUS_Y = 37;

interface FamilyGraphProps {
  readonly graph: TaskGraph;
  readonly id: string;
}

export function FamilyGraph({ graph, id }: FamilyGraphProps): ReactNode {
  const { width, height, tasks, links } = useMemo(() => drawingOf(graph), [graph]);
  const frame = useRef<HTMLElement>(null);
  // A large drawing opens where this task stands, not at its first corner.
  useEffect(() => {
    const here = tasks.find((task) => task.id === id);
    const element = frame.current;
    if (here === undefined || element === null) return;
    element.scrollTo({
      left: here.x + (NODE_WIDTH_PX - element.clientWidth) / 2,
      top: here.y + (NODE_HEIGHT_PX - element.clientHeight) / 2,
    });
  }, [tasks, id]);
  return (
    <>
      {graph.truncated && (
        <p className="warning">There are more: the nearest are drawn, at most {DRAWN_TASKS_MAX}.</p>
      )}
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reached by the keyboard */}
      <section ref={frame} className="task-graph" aria-label="Drawing of parents and children" tabIndex={0}>
        {/* biome-ignore lint/a11y/noSvgWithoutTitle: the region around it is named, and each box; a title would pop up over all of it */}
        <svg width={width} height={height} viewBox={`0 0 ${width} ${height}`}>
          <defs>
            <marker
              id="task-graph-arrow"
              viewBox="0 0 8 8"
              refX="8"
              refY="4"
              markerWidth="7"
              markerHeight="7"
              orient="auto"
            >
              <path d="M0 0 8 4 0 8Z" />
            </marker>
          </defs>
          {links.map((link) => (
            <GraphLink key={`${link.parent} ${link.child}`} link={link} />
          ))}
          {tasks.map((task) => (
            <GraphTask key={task.id} task={task} isHere={task.id === id} />
          ))}
        </svg>
      </section>
    </>
  );
}

function GraphLink({ link: { points, isMet } }: { readonly link: PlacedLink }): ReactNode {
  const way = points.map(({ x, y }, index) => `${index === 0 ? 'M' : 'L'}${x.toFixed(1)} ${y.toFixed(1)}`);
  return (
    <path
      className={isMet ? 'task-graph-link met' : 'task-graph-link'}
      d={way.join('')}
      markerEnd="url(#task-graph-arrow)"
      aria-hidden
    />
  );
}

function GraphTask({ task, isHere }: { readonly task: PlacedTask; readonly isHere: boolean }): ReactNode {
  const { board } = useClient();
  const card = useCard(task.id);
  const status = card?.status ?? task.status;
  const title = card?.title ?? task.title;
  const short = title.length > TITLE_CHARACTERS ? `${title.slice(0, TITLE_CHARACTERS - 1)}…` : title;
  return (
    <Link
      href={`~${linkToTask(board, task.id)}`}
      className={`task-graph-task task-graph-${status}${isHere ? ' here' : ''}`}
      aria-current={isHere ? 'page' : undefined}
    >
      <rect x={task.x} y={task.y} width={NODE_WIDTH_PX} height={NODE_HEIGHT_PX} rx={7}>
        {short !== title && <title>{title}</title>}
      </rect>
      <text x={task.x + TEXT_X} y={task.y + TITLE_Y}>
        {short}
      </text>
      <text className="task-graph-status" x={task.x + TEXT_X} y={task.y + STATUS_Y}>
        {STATUS_LABELS[status]}
        {task.lane === null ? '' : ` · ${task.lane}`}
      </text>
    </Link>
  );
}
