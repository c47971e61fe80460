/** What workers may do on a board: claim, beat and end, with tokens that are good, lost or of somebody else. */
import { expect } from 'vitest';
import { type ModelClaim, OK, type Said, type WorkerEnd } from './board-model-words.ts';
import { ask, compare, type Draw, type Plan, pick, sure } from './command.ts';
import { LANES } from './lanes.ts';
import { LATER_SECONDS } from './real-board.ts';

const WORKERS = ['ann', 'bob'] as const;

export const claim: Plan = (model, [a, b, c]) => {
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
export function ending(verb: WorkerEnd['verb']): Plan {
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
export const again: Plan = (model, [a]) => {
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

export const heartbeat: Plan = (model, [a, , , d]) => {
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
export const foreign: Plan = (model, [a, b, c]) => {
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
