/** What may happen on a board, each with what the model says of it, and how often it is to happen. */
import fc from 'fast-check';
import { expect } from 'vitest';
import {
  type BoardModel,
  MADE,
  type ModelClaim,
  type ModelTask,
  mayBegin,
  OK,
  type PersonVerb,
  type Said,
  type WorkerEnd,
} from './board-model.ts';
import { ask, Command, compare, DRAW, type Draw, type Plan, pick, sure } from './command.ts';
import { LATER_SECONDS, type RealBoard } from './real-board.ts';

/** Small boards: their tasks have to do with each other. */
const TASKS_MAX = 10;
const LANES = ['build', 'check', 'desk'] as const;
/** One of them under a cap. */
export const CAPS: ReadonlyMap<string, number | null> = new Map([
  ['build', null],
  ['check', null],
  ['desk', 2],
]);
const WORKERS = ['ann', 'bob'] as const;
/** So that no retry comes by itself. */
const BACKOFF = { base_seconds: LATER_SECONDS, cap_seconds: LATER_SECONDS };
// Tasks

const create: Plan = (model, [a, b, c, d]) => {
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

function linking(method: 'PUT' | 'DELETE'): Plan {
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

const comment: Plan = (model, [a]) => {
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

const prioritise: Plan = (model, [a, b]) => {
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

// Claims

const claim: Plan = (model, [a, b, c]) => {
  if (model.tasks.length === 0) return null;
  const lane = sure(LANES, a);
  const worker = sure(WORKERS, b);
  const named = c % 3 === 0 ? sure(model.tasks, c) : null;
  const body = { worker, lease_seconds: LATER_SECONDS, ...(named === null ? {} : { task_id: named.id }) };
  const asked = { method: 'POST', path: `/lanes/${lane}/claims`, body };
  return {
    said: `${lane} ${worker}${named === null ? '' : ` ${named.id}`}`,
    act: async (_, real) => {
      const next = model.next(lane, worker, named);
      if (typeof next === 'string') {
        const refused: Said = { status: 409, code: 'task_not_claimable' };
        const { body: answer } = await ask(real, asked, named === null ? { ...OK, reason: next } : refused);
        if (named === null) expect(answer.claims).toEqual([]);
        return;
      }
      const { body: answer } = await ask(real, asked, OK);
      const [got] = answer.claims;
      expect([got?.task.id, got?.attempt]).toEqual([next.id, next.attempt + 1]);
      model.claim(next, { runId: got.run_id, token: got.token, lane, worker });
      compare(model, next, got.task);
    },
  };
};

function endOf(verb: WorkerEnd['verb'], [, b, c, d]: Draw): readonly [WorkerEnd, Record<string, unknown>] {
  switch (verb) {
    case 'complete': {
      const reviewer = sure([...LANES, null], c);
      if (b % 2 === 0) return [{ verb }, { summary: 'done' }];
      const hasResult = d % 2 === 0;
      return [
        { verb, review: true, reviewer, hasResult },
        { review: true, ...(reviewer === null ? {} : { reviewer }), ...(hasResult ? { result: 1 } : {}) },
      ];
    }
    case 'request-changes':
      return [{ verb }, { reason: 'better' }];
    case 'block': {
      const kind = sure(['needs_input', 'dependency', 'dependency', null] as const, b);
      return [
        { verb, kind, reason: 'stuck' },
        { reason: 'stuck', ...(kind === null ? {} : { kind }) },
      ];
    }
    case 'release': {
      const isDelayed = b % 3 === 0;
      return [{ verb, isDelayed }, isDelayed ? { delay_seconds: LATER_SECONDS } : {}];
    }
    case 'fail': {
      const kind = sure(['error', 'rate_limited', 'protocol_violation'] as const, c);
      const isPermanent = d % 6 === 0;
      const body = { error: 'broke', kind, retry_after_seconds: LATER_SECONDS, permanent: isPermanent };
      return [{ verb, kind, isPermanent, error: 'broke' }, body];
    }
  }
}

/** By the holder, and sometimes by one that held it once. */
function ending(verb: WorkerEnd['verb']): Plan {
  return (model, draw) => {
    const [a, b, c, d] = draw;
    const live = verb === 'request-changes' ? model.live.filter(({ from }) => from === 'review') : model.live;
    const whose = pick(d % 6 === 1 ? model.claims : live, a);
    if (whose === undefined) return null;
    const [end, body] = endOf(verb, [a, b, c, d]);
    return {
      said: `${whose.task.id} ${JSON.stringify(body)}`,
      act: async (_, real) => {
        const asked = { method: 'POST', path: `/v1/runs/${whose.runId}/${verb}`, token: whose.token, body };
        const isOver = whose.lost !== null;
        await ask(real, asked, model.end(whose, end, `${verb} ${JSON.stringify(body)}`));
        if (!isOver && whose.task.status === 'scheduled') await real.servers.postpone(whose.task.id);
      },
    };
  };
}

/** Ends the same run in the same way again: the same answer. */
const again: Plan = (model, [a]) => {
  const whose = pick(
    model.claims.filter(({ endedBy }) => endedBy !== null),
    a,
  );
  if (whose === undefined) return null;
  const request = whose.endedBy ?? '';
  const verb = request.slice(0, request.indexOf(' '));
  const body: unknown = JSON.parse(request.slice(verb.length + 1));
  return {
    said: `${whose.task.id} ${request}`,
    act: async (_, real) => {
      const asked = { method: 'POST', path: `/v1/runs/${whose.runId}/${verb}`, token: whose.token, body };
      await ask(real, asked, OK);
    },
  };
};

const heartbeat: Plan = (model, [a, , , d]) => {
  const whose = pick(d % 3 === 0 ? model.claims : model.live, a);
  if (whose === undefined) return null;
  return {
    said: whose.task.id,
    act: async (_, real) => {
      const asked = {
        method: 'POST',
        path: `/v1/runs/${whose.runId}/heartbeat`,
        token: whose.token,
        body: {},
      };
      const { body: answer } = await ask(real, asked, model.heartbeat(whose));
      if (whose.lost === null) expect(answer.cancel_requested).toBe(whose.isCancelRequested);
    },
  };
};

/** A run belongs to the token of its claim: another's does not do, nor does a key. */
const foreign: Plan = (model, [a, b, c]) => {
  const whose = pick(model.live, a);
  if (whose === undefined) return null;
  const other: ModelClaim | undefined = pick(
    model.claims.filter((found) => found !== whose),
    b,
  );
  const said: Said =
    other === undefined
      ? { status: 403, code: 'claim_token_required' }
      : { status: 403, code: 'not_your_claim' };
  const verb = sure(['heartbeat', 'complete', 'block', 'release', 'fail'], c);
  const body = { block: { reason: 'x' }, fail: { error: 'x' } }[verb] ?? {};
  return {
    said: `${verb} ${whose.task.id}`,
    act: async (_, real) => {
      const path = `/v1/runs/${whose.runId}/${verb}`;
      await ask(
        real,
        { method: 'POST', path, body, ...(other === undefined ? {} : { token: other.token }) },
        said,
      );
    },
  };
};

// Time

const crash: Plan = (model, [a]) => {
  const whose = pick(model.live, a);
  if (whose === undefined) return null;
  return {
    said: whose.task.id,
    act: async (_, real) => {
      model.crash(whose);
      await real.servers.crash(whose.task.id);
    },
  };
};

const timeComes: Plan = (model, [a]) => {
  const task = pick(
    model.tasks.filter(({ runAt }) => runAt === 'future'),
    a,
  );
  if (task === undefined) return null;
  return {
    said: task.id,
    act: async (_, real) => {
      model.timeComes(task);
      await real.servers.timeComes(task.id);
    },
  };
};

const PERSON: Readonly<Record<string, Plan>> = {
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

/** Name, plan, and how many times as often as the rarest. */
const COMMANDS: readonly (readonly [string, Plan, number])[] = [
  ['create', create, 6],
  ['link', linking('PUT'), 4],
  ['unlink', linking('DELETE'), 2],
  ['claim', claim, 14],
  ['heartbeat', heartbeat, 2],
  ['end by complete', ending('complete'), 6],
  ['end by request-changes', ending('request-changes'), 3],
  ['end by block', ending('block'), 4],
  ['end by release', ending('release'), 3],
  ['end by fail', ending('fail'), 4],
  ['end again', again, 1],
  ['foreign end', foreign, 1],
  ['crash', crash, 1],
  ['time comes', timeComes, 7],
  ['comment', comment, 1],
  ['prioritise', prioritise, 1],
  ['promote', PERSON['promote'] as Plan, 2],
  ['unblock', PERSON['unblock'] as Plan, 3],
  ['schedule', PERSON['schedule'] as Plan, 1],
  ['assign', PERSON['assign'] as Plan, 3],
  ['complete', PERSON['complete'] as Plan, 1],
  ['accept', PERSON['accept'] as Plan, 2],
  ['request-changes', PERSON['request-changes'] as Plan, 2],
  ['cancel', PERSON['cancel'] as Plan, 2],
  ['archive', PERSON['archive'] as Plan, 1],
  ['reopen', PERSON['reopen'] as Plan, 3],
  ['reclaim', PERSON['reclaim'] as Plan, 4],
];

export const COMMAND_NAMES = COMMANDS.map(([name]) => name);

export type Lifecycle = Iterable<fc.AsyncCommand<BoardModel, RealBoard>>;

export function lifecycle(commandsMax: number): fc.Arbitrary<Lifecycle> {
  const arbitraries = COMMANDS.flatMap(([name, plan, weight]) => {
    const arbitrary = DRAW.map((draw) => new Command(name, plan, draw));
    return Array.from({ length: weight }, () => arbitrary);
  });
  return fc.commands(arbitraries, { maxCommands: commandsMax, size: 'max' });
}
