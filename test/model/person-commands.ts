/** What people and orchestrators may do to a board: tasks and links that they make, and their verbs. */
import type { BoardModel } from './board-model.ts';
import { MADE, type ModelTask, mayBegin, type PersonVerb, type Said } from './board-model-words.ts';
import { ask, type Draw, type Plan, pick, sure } from './command.ts';
import { LANES } from './lanes.ts';
import { LATER_SECONDS } from './real-board.ts';

/** Small boards: their tasks have to do with each other. */
const TASKS_MAX = 10;
/** So that no retry comes by itself. */
const BACKOFF = { base_seconds: LATER_SECONDS, cap_seconds: LATER_SECONDS };

export const create: Plan = (model, [a, b, c, d]) => {
  if (model.tasks.length >= TASKS_MAX) return null;
  const status = sure(['ready', 'ready', 'ready', 'ready', 'triage', 'blocked'] as const, a);
  const isLater = b % 5 === 0;
  const lane = sure([...LANES, ...LANES, null], c);
  const count = model.tasks.length < 2 ? 0 : sure([0, 0, 1, 2], d);
  const parents = [...new Set([b, c].slice(0, count).map((draw) => sure(model.tasks, draw)))];
  const priority = d % 3;
  const maxFailures = 1 + (a % 3);
  const body = {
    title: 'a task',
    lane,
    priority,
    max_failures: maxFailures,
    backoff: BACKOFF,
    ...(status === 'ready' ? {} : { status }),
    ...(isLater ? { run_at: later() } : {}),
    ...(parents.length === 0 ? {} : { parents: parents.map((task) => task.id) }),
  };
  const isMistake = isLater && status !== 'ready';
  const said: Said = isMistake ? { status: 400, code: 'invalid_request' } : MADE;
  return {
    said: `${status} ${lane} of ${parents.map((task) => task.id).join()}${isLater ? ' later' : ''}`,
    act: async (_, real) => {
      const { body: answer } = await ask(real, { method: 'POST', path: '/tasks', body }, said);
      if (isMistake) return;
      model.create({ id: answer.task.id, lane, priority, maxFailures, status, isLater, parents });
    },
  };
};

const later = (): string => new Date(Date.now() + LATER_SECONDS * 1000).toISOString();

export function linking(method: 'PUT' | 'DELETE'): Plan {
  return (model, [a, b, c]) => {
    const linked = model.tasks.filter((task) => task.parents.size > 0);
    const child = (method === 'DELETE' && c % 4 > 0 ? pick(linked, a) : undefined) ?? pick(model.tasks, a);
    if (child === undefined) return null;
    const parent =
      (method === 'DELETE' && c % 4 > 0 ? pick([...child.parents], b) : undefined) ?? sure(model.tasks, b);
    return {
      said: `${child.id} ← ${parent.id}`,
      act: async (_, real) => {
        const said = method === 'PUT' ? model.link(child, parent) : model.unlink(child, parent);
        await ask(real, { method, path: `/tasks/${child.id}/parents/${parent.id}` }, said);
      },
    };
  };
}

/** Mostly of a task that may, sometimes of any. */
function person(
  verb: PersonVerb,
  bodyOf: (draw: Draw) => Record<string, unknown>,
  say: (model: BoardModel, task: ModelTask, draw: Draw) => Said,
): Plan {
  return (model, draw) => {
    const [a, b] = draw;
    const able = model.tasks.filter((task) => mayBegin(verb, task));
    const task = (b % 5 > 0 ? pick(able, a) : undefined) ?? pick(model.tasks, a);
    if (task === undefined) return null;
    return {
      said: task.id,
      act: async (_, real) => {
        const body = bodyOf(draw);
        await ask(real, { method: 'POST', path: `/tasks/${task.id}/${verb}`, body }, say(model, task, draw));
      },
    };
  };
}

const laneOf = (draw: number): string | null => sure([...LANES, null], draw);

export const comment: Plan = (model, [a]) => {
  const task = pick(model.tasks, a);
  if (task === undefined) return null;
  return {
    said: task.id,
    act: async (_, real) => {
      const asked = { method: 'POST', path: `/tasks/${task.id}/comments`, body: { body: 'a word' } };
      await ask(real, asked, model.comment(task));
    },
  };
};

export const prioritise: Plan = (model, [a, b]) => {
  const task = pick(model.tasks, a);
  if (task === undefined) return null;
  return {
    said: task.id,
    act: async (_, real) => {
      const asked = { method: 'PATCH', path: `/tasks/${task.id}`, body: { priority: b % 3 } };
      await ask(real, asked, model.prioritise(task, b % 3));
    },
  };
};

export const PERSON: Readonly<Record<string, Plan>> = {
  promote: person(
    'promote',
    () => ({}),
    (model, task) => model.promote(task),
  ),
  unblock: person(
    'unblock',
    ([, , c]) => (c % 2 === 0 ? { answer: 'so' } : {}),
    (model, task, [, , c]) => model.unblock(task, c % 2 === 0),
  ),
  schedule: person(
    'schedule',
    () => ({ run_at: later() }),
    (model, task) => model.schedule(task),
  ),
  assign: person(
    'assign',
    ([, , c]) => ({ lane: laneOf(c) }),
    (model, task, [, , c]) => model.assign(task, laneOf(c)),
  ),
  complete: person(
    'complete',
    () => ({ summary: 'by hand' }),
    (model, task) => model.complete(task),
  ),
  accept: person(
    'accept',
    () => ({}),
    (model, task) => model.accept(task),
  ),
  'request-changes': person(
    'request-changes',
    () => ({ reason: 'not yet' }),
    (model, task) => model.requestChanges(task),
  ),
  // Who is asked to stop has the whole test for it.
  cancel: person(
    'cancel',
    () => ({ deadline_seconds: LATER_SECONDS }),
    (model, task) => model.cancel(task),
  ),
  archive: person(
    'archive',
    () => ({}),
    (model, task) => model.archive(task),
  ),
  reopen: person(
    'reopen',
    () => ({}),
    (model, task) => model.reopen(task),
  ),
  reclaim: person(
    'reclaim',
    () => ({ reason: 'mine' }),
    (model, task) => model.reclaim(task),
  ),
};
