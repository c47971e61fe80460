/**
 * Handing work over, and what to do when there is no room for it: as many delegations of one capacity key run as may. Never makes anything
 * twice, and never waits longer than it was told to.
 */
import { LIMITS } from '../contract/constants.ts';
import type { Delegation } from '../contract/delegations.ts';
import type { Task } from '../contract/tasks.ts';
import { LanekeeperError } from './errors.ts';
import { waitLong } from './long-wait.ts';
import type { BodyOf } from './operation-types.ts';
import { COLLECT_SECONDS_DEFAULT, type Delegations } from './resources/delegations.ts';
import type { Events } from './resources/events.ts';
import type { BoardCallOptions } from './resources/resource.ts';
import type { Tasks } from './resources/tasks.ts';
import type { Timing } from './timing.ts';

type Body = BodyOf<'createDelegation'>;

interface CommonRequest extends Omit<Body, 'tasks' | 'goal'> {
  /** How long is waited for room, or for the tasks of `runTasks`. Default 600. */
  readonly timeoutSeconds?: number | undefined;
  /** Called once when there is no room and it is waited for. */
  readonly onWait?: (() => void) | undefined;
}

interface ManyTasks extends CommonRequest {
  readonly tasks: Body['tasks'];
  /** What all of them are for. */
  readonly goal?: Body['goal'] | undefined;
  readonly lane?: undefined;
}

interface OneTask extends CommonRequest {
  readonly lane: string;
  readonly goal: string;
  readonly tasks?: undefined;
}

/** What is handed over: `tasks`, or one task as `lane`, `goal` and `context`. */
export type DelegateRequest = ManyTasks | OneTask;

/** What could not be delegated, for whoever does it here and now. */
export interface Overflow {
  /** As it would have been sent. */
  readonly body: Body;
  /**
   * Makes its tasks without a delegation, and waits until each has finished or is blocked, or until the time is over: the tasks as they
   * are then, in order. Waiting here is what bounds their number.
   */
  readonly runTasks: () => Promise<Task[]>;
}

/** The handle of the delegation; or, where there was no room, what the callback made of it. */
export type Delegated<Inline = never> =
  | { readonly delegation: Delegation; readonly inline?: undefined }
  | { readonly delegation: null; readonly inline: Inline };

export type OnCapacity<Inline> = 'fail' | 'wait' | ((overflow: Overflow) => Promise<Inline>);

interface DelegateParts {
  readonly delegations: Delegations;
  readonly tasks: Tasks;
  readonly events: Events;
  readonly timing: Timing;
  /** The credential sees no end of a delegation: it is asked for room again and again. */
  readonly isBlind?: boolean | undefined;
}

/** Between two completions it is looked by itself, in case those that were seen were of other keys. */
const ROOM_WAIT_SECONDS = 15;
/** For whoever is not told of completions: short against what a delegation takes, and no more than thirty requests a minute. */
const BLIND_WAIT_SECONDS = 2;

export async function delegate<Inline>(
  parts: DelegateParts,
  request: DelegateRequest & { readonly onCapacity?: OnCapacity<Inline> | undefined },
  options: BoardCallOptions = {},
): Promise<Delegated<Inline>> {
  const { onCapacity = 'fail', timeoutSeconds = COLLECT_SECONDS_DEFAULT, onWait, ...work } = request;
  const body = bodyOf(work);
  const endsAtMs = parts.timing.now() + timeoutSeconds * 1000;
  try {
    return { delegation: (await parts.delegations.create(body, options)).delegation };
  } catch (error) {
    if (!isFull(error) || onCapacity === 'fail') throw error;
  }
  if (onCapacity === 'wait') {
    onWait?.();
    return { delegation: await createWhenThereIsRoom(parts, body, endsAtMs, options) };
  }
  const runTasks = (): Promise<Task[]> => runInline(parts, body, endsAtMs, options);
  return { delegation: null, inline: await onCapacity({ body, runTasks }) };
}

interface Work extends Omit<CommonRequest, 'timeoutSeconds' | 'onWait'> {
  readonly tasks?: Body['tasks'] | undefined;
  readonly goal?: Body['goal'] | undefined;
  readonly lane?: string | undefined;
}

function bodyOf({ tasks, lane, goal, ...work }: Work): Body {
  if (tasks !== undefined) return { ...work, ...(goal === undefined ? {} : { goal }), tasks };
  // The types say so, and not everybody compiles with them.
  if (lane === undefined || !goal) throw new TypeError('Give tasks, or one lane with a goal');
  const { context, ...rest } = work;
  return { ...rest, tasks: [{ lane, goal, ...(context == null ? {} : { context }) }] };
}

function isFull(error: unknown): boolean {
  return error instanceof LanekeeperError && error.code === 'delegation_capacity';
}

function secondsLeft(parts: DelegateParts, endsAtMs: number): number {
  return Math.max(0, Math.ceil((endsAtMs - parts.timing.now()) / 1000));
}

/** Throws the refusal itself, when there is still no room once the time is over. */
async function createWhenThereIsRoom(
  parts: DelegateParts,
  body: Body,
  endsAtMs: number,
  options: BoardCallOptions,
): Promise<Delegation> {
  // Tried once more from here on: one that ended in between is not waited for.
  let { cursor: after } = await parts.events.list({ after: 'now' }, options);
  for (;;) {
    const leftSeconds = secondsLeft(parts, endsAtMs);
    try {
      return (await parts.delegations.create(body, options)).delegation;
    } catch (error) {
      if (!isFull(error) || leftSeconds === 0) throw error;
    }
    const waitSeconds = Math.min(leftSeconds, parts.isBlind ? BLIND_WAIT_SECONDS : ROOM_WAIT_SECONDS);
    const query = { kinds: 'delegation.completed', after };
    after = (await parts.events.list(query, { ...options, waitSeconds })).cursor;
  }
}

async function runInline(
  parts: DelegateParts,
  body: Body,
  endsAtMs: number,
  options: BoardCallOptions,
): Promise<Task[]> {
  const bodies = body.tasks.map(({ goal, context: told, toolsets: _t, model: _m, title, ...task }) => ({
    ...task,
    title: title ?? (goal ?? '').split('\n', 1)[0]?.slice(0, LIMITS.titleCharactersMax) ?? '',
    body: task.body ?? [goal, told].filter(Boolean).join('\n\n'),
    subscribe: false as const,
  }));
  const { tasks } = await parts.tasks.createBatch(bodies, options);
  const ended: Task[] = [];
  for (const { id } of tasks) ended.push(await untilEnded(parts, id, endsAtMs, options));
  return ended;
}

/** As it is when the time is over. */
async function untilEnded(
  { tasks, timing }: DelegateParts,
  id: string,
  endsAtMs: number,
  options: BoardCallOptions,
): Promise<Task> {
  const { task } = await waitLong(timing, {
    ask: (poll) => tasks.get(id, { ...options, ...poll }),
    isOver: (reply) => hasEnded(reply.task),
    endsAtMs,
    // A blocked one is seen at the end of a wait only, which a finished one ends by itself.
    pollSeconds: ROOM_WAIT_SECONDS,
    signal: options.signal,
  });
  return task;
}

/** A blocked one has ended, as in a delegation. */
export function hasEnded({ status }: Pick<Task, 'status'>): boolean {
  return ['done', 'cancelled', 'archived', 'blocked'].includes(status);
}
