import { appendFileSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { Recorder, readHistory } from '../../chaos/recorder.ts';

function useDirectory(): string {
  const directory = mkdtempSync(join(tmpdir(), 'lanekeeper-test-'));
  onTestFinished(() => rmSync(directory, { recursive: true }));
  return directory;
}

const heartbeat = { kind: 'heartbeat', taskId: 'task_1', runId: 'run_1', attempt: 1 } as const;

test('an operation is one entry with its end', () => {
  const directory = useDirectory();
  new Recorder(directory, 'worker-1.1').begin(heartbeat)({
    ending: 'fail',
    code: 'claim_lost',
    reason: 'crashed',
  });

  const [operation] = readHistory(directory);

  expect(operation).toMatchObject({ ...heartbeat, process: 'worker-1.1', ending: 'fail', reason: 'crashed' });
  expect(operation).toHaveProperty('endedAt');
});

test('an operation whose process was killed has an unknown ending and no end', () => {
  const directory = useDirectory();
  new Recorder(directory, 'worker-1.1').begin(heartbeat);
  appendFileSync(join(directory, 'worker-1.1.history.jsonl'), '{"line":"ended","id":1,"en');

  const history = readHistory(directory);

  expect(history).toMatchObject([{ ...heartbeat, ending: 'unknown' }]);
  expect(history[0]).not.toHaveProperty('endedAt');
});

test('operations of several processes overlap and come in the order in which they began', () => {
  const directory = useDirectory();
  const [first, second] = [new Recorder(directory, 'worker-1.1'), new Recorder(directory, 'worker-2.1')];
  const endFirst = first.begin(heartbeat);
  second.begin({ ...heartbeat, runId: 'run_2' })({ ending: 'ok' });
  endFirst({ ending: 'ok' });

  const history = readHistory(directory);

  expect(history).toMatchObject([
    { runId: 'run_1', ending: 'ok' },
    { runId: 'run_2', ending: 'ok' },
  ]);
});
