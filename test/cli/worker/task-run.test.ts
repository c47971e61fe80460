import { expect, test } from 'vitest';
import { Output } from '../../../src/cli/output.ts';
import type { Launched } from '../../../src/cli/worker/launcher.ts';
import { Reporter } from '../../../src/cli/worker/reporter.ts';
import type { ProcessEnd } from '../../../src/cli/worker/running-process.ts';
import { SteeringFile } from '../../../src/cli/worker/steering-file.ts';
import { TaskRun } from '../../../src/cli/worker/task-run.ts';
import { connect } from '../../../src/client/client.ts';
import { Heartbeats } from '../../../src/client/worker/heartbeats.ts';
import { RunLine } from '../../../src/client/worker/run-line.ts';

/** A run of a process that ends when it is stopped, and whose keeper cannot do what it is asked to. */
function startRun(broken: Partial<Launched>) {
  const happened: string[] = [];
  const client = connect({
    url: 'http://127.0.0.1:9',
    fetch: () => Promise.resolve(new Response('{"code":"claim_lost","status":409}', { status: 409 })),
  });
  let end: (how: ProcessEnd) => void = () => undefined;
  const ended = new Promise<ProcessEnd>((resolve) => {
    end = resolve;
  });
  const note = (what: string) => () => void happened.push(what);
  const launched: Launched = {
    process: {
      ended,
      gone: ended.then(() => undefined),
      hasExited: false,
      stop: () => {
        happened.push('stopped');
        end({ kind: 'vanished' });
      },
      kill: note('killed'),
    },
    steering: new SteeringFile('/dev/null'),
    timeout: null,
    reading: { ofSuccess: () => ({ verb: 'complete', body: {} }), lastWords: () => '' },
    close: note('closed'),
    ...broken,
  };
  const sink = { isTTY: false, writableLength: 0, write: note('said') };
  const output = { stdout: sink, stderr: sink, isJson: false, isQuiet: false, hasColours: false };
  const line = new RunLine(client);
  const run = new TaskRun(
    {
      claim: { run_id: 'r', lane: 'l', attempt: 1, token: 't', task: { id: 'i', title: 't', board: 'b' } },
      launch: () => launched,
      messages: [],
    },
    {
      client,
      line,
      heartbeats: new Heartbeats(client, line, 600),
      relay: null,
      reporter: new Reporter(new Output(output as unknown as ConstructorParameters<typeof Output>[0]), false),
      leaseSeconds: 600,
      ownEndGraceSeconds: 1,
      onAway: () => undefined,
      onTakenOver: () => undefined,
      leave: new AbortController().signal,
      hardStop: new AbortController().signal,
    },
  );
  return { run, happened };
}

test('a process is stopped before anybody is told, so that nothing that goes wrong then keeps it running', async () => {
  const order: string[] = [];
  const { run, happened } = startRun({
    onStop: () => {
      order.push(...happened.filter((what) => what === 'stopped'), 'told');
      throw new Error('no space left');
    },
  });
  expect(() => run.stop({ kind: 'timed_out', seconds: 1 })).toThrow('no space left');
  expect(order).toEqual(['stopped', 'told']);
  await run.ended;
});

test('a run whose keeper makes a mistake ends alone: its process is stopped, and nobody is left waiting', async () => {
  const { run, happened } = startRun({
    close: () => {
      throw new Error('a mistake');
    },
  });
  run.stop({ kind: 'draining' });
  expect(await run.ended).toBe(false);
  expect(happened.filter((what) => what === 'stopped')).toHaveLength(2);
});
