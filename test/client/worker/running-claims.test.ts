/** What one worker holds: claims that are begun, that wait for a verdict, and that are given back. */
import { expect, test } from 'vitest';
import { connect } from '../../../src/client/client.ts';
import type { ClaimRun } from '../../../src/client/worker/claim-run.ts';
import { RunningClaims, type RunningClaimsOptions } from '../../../src/client/worker/running-claims.ts';
import type { PushedClaim } from '../../../src/contract/frames.ts';
import { eventually } from '../../fixtures/eventually.ts';
import { type ScriptedAnswer, scriptedFetch } from '../fixtures/scripted-fetch.ts';
import { instantTiming } from '../fixtures/scripted-server.ts';

const claimOf = (id: string): PushedClaim =>
  ({ run_id: id, token: id, heartbeat_interval_seconds: 20, task: { id: `task of ${id}` } }) as PushedClaim;
const ignore = (): void => undefined;
const endless = (claim: PushedClaim): ClaimRun => ({
  claim,
  ended: new Promise(() => undefined),
  stop: ignore,
  tell: ignore,
  kill: ignore,
});
const problem = (status: number, code: string): ScriptedAnswer => ({ status, json: { code, status } });

function hold(
  respond: (verb: string, run: string) => ScriptedAnswer,
  options: Partial<RunningClaimsOptions>,
) {
  const { fetch, requests } = scriptedFetch(({ path }) => {
    const [verb = '', run = ''] = path.split('/').reverse();
    return respond(verb, run);
  });
  const client = connect({ url: 'http://127.0.0.1:9', fetch, timing: instantTiming() });
  const warnings: string[] = [];
  const started: string[] = [];
  const running = new RunningClaims({
    client,
    leaseSeconds: 60,
    start: (claim): ClaimRun => {
      started.push(claim.run_id);
      return endless(claim);
    },
    log: { note: () => undefined, warn: (text) => warnings.push(text) },
    onAway: () => undefined,
    onTakenOver: () => undefined,
    onFree: () => undefined,
    leave: new AbortController().signal,
    hardStop: new AbortController().signal,
    ...options,
  });
  const verbs = () => requests.map(({ path, body }) => [...path.split('/').slice(-2), body]);
  return { running, warnings, started, verbs };
}

const RELEASED: ScriptedAnswer = { json: { task: { status: 'ready' }, run: { outcome: 'released' } } };

test('claims are given back as patiently as other ends, and one that is gone already counts as given back', async () => {
  let failures = 20;
  const { running, warnings } = hold((_, run) => {
    if (run === 'gone') return problem(409, 'claim_lost');
    failures -= 1;
    return failures > 0 ? problem(503, 'draining') : RELEASED;
  }, {});
  await running.giveBack([claimOf('gone'), claimOf('a'), claimOf('b')]);
  expect([running.unreportedCount, warnings]).toEqual([0, []]);
});

test('whoever is stopped at once tries once to give a claim back', async () => {
  const { running, verbs } = hold(() => problem(503, 'draining'), { hardStop: AbortSignal.abort() });
  await running.giveBack([claimOf('a'), claimOf('b')]);
  expect([verbs().length, running.unreportedCount]).toEqual([2, 2]);
});

test('a claim that cannot be begun is given back for later, and those that came with it are worked on', async () => {
  const begun: string[] = [];
  const { running, verbs, warnings } = hold(() => RELEASED, {
    start: (claim) => {
      if (claim.run_id === 'bad') throw new TypeError('no token');
      begun.push(claim.run_id);
      return endless(claim);
    },
  });
  await running.admit([claimOf('bad'), claimOf('good')]);
  await eventually('it is given back', () => verbs().length > 0 && running.count === 1);
  expect(verbs()).toEqual([
    ['bad', 'release', { reason: 'could not be begun: no token', delay_seconds: 30 }],
  ]);
  expect([begun, warnings.length]).toEqual([['good'], 1]);
});

test('a cancel for a claim that is not begun yet is asked about once it is', async () => {
  let decide: (refusal: null) => void = () => undefined;
  const asked: string[] = [];
  const { running } = hold(() => RELEASED, {
    refusal: () =>
      new Promise((resolve) => {
        decide = resolve;
      }),
  });
  const admitted = running.admit([claimOf('a'), claimOf('b')]);
  running.stop('a', { kind: 'cancel_requested' });
  running.hurry = (runId) => void asked.push(runId ?? 'all');
  decide(null);
  await admitted;
  expect(asked).toEqual(['a']);
});
