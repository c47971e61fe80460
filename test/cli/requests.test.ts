/** What commands ask of the API. */
import { describe, expect, test } from 'vitest';
import { problem } from '../client/fixtures/scripted-server.ts';
import { useScriptedApi } from './fixtures/scripted-api.ts';

const api = useScriptedApi();
const { run, lastRequest } = api;

describe('a command', () => {
  test('registers a lane to the letter of its documentation', async () => {
    api.server.respond = () => problem(500, 'internal');
    const line =
      'lanes register factory --kind persistent --claim-mode pull-or-watch --allowed-status-mutations own-claimed-only';
    await run(line.split(' '));
    expect(lastRequest()).toBe(
      'PUT /v1/boards/default/lanes/factory {"kind":"persistent","claim_mode":"pull-or-watch","allowed_status_mutations":"own-claimed-only"}',
    );
  });

  const requests: readonly (readonly [string, string])[] = [
    ['board create b --title T --paused', 'PUT /v1/boards/b {"title":"T","settings":{"paused":true}}'],
    ['boards list --limit 5', 'GET /v1/boards?limit=5'],
    ['board get', 'GET /v1/boards/default'],
    ['board get -b other', 'GET /v1/boards/other'],
    ['board stats', 'GET /v1/boards/default/stats'],
    ['board stats b --window 24h', 'GET /v1/boards/b/stats?window=24h'],
    ['board set b --no-paused', 'PATCH /v1/boards/b {"settings":{"paused":false}}'],
    ['board delete b --yes', 'DELETE /v1/boards/b'],
    ['lane list --board other', 'GET /v1/boards/other/lanes'],
    ['lane get l', 'GET /v1/boards/default/lanes/l'],
    ['lane show l', 'GET /v1/boards/default/lanes/l'],
    [
      'lane set l --no-progress-seconds 5 --clear max_concurrent_claims --label a=b',
      'PATCH /v1/boards/default/lanes/l {"no_progress_seconds":5,"labels":{"a":"b"},"max_concurrent_claims":null}',
    ],
    ['lane pause l', 'POST /v1/boards/default/lanes/l/pause'],
    ['lane resume l', 'POST /v1/boards/default/lanes/l/resume'],
    ['lane drain l', 'POST /v1/boards/default/lanes/l/drain'],
    [
      'lane takeover l --mode adopt --worker w --json',
      'POST /v1/boards/default/lanes/l/takeover {"mode":"adopt","worker":"w"}',
    ],
    [
      'lane takeover l --mode release --worker w',
      'POST /v1/boards/default/lanes/l/takeover {"mode":"release","worker":"w"}',
    ],
    ['lane delete l --yes', 'DELETE /v1/boards/default/lanes/l'],
    ['lane key l --name n', 'POST /v1/boards/default/lanes/l/keys {"name":"n"}'],
    ['lane key l --mcp-aliases', 'POST /v1/boards/default/lanes/l/keys {"mcp_aliases":true}'],
    [
      'task add T --lane l --priority -5 --payload {"a":1} --label x=y --max-failures 3 --idempotency-key k --no-progress-seconds 9',
      'POST /v1/boards/default/tasks {"priority":-5,"payload":{"a":1},"labels":{"x":"y"},"max_failures":3,"no_progress_seconds":9,"lane":"l","idempotency_key":"k","title":"T"}',
    ],
    [
      'tasks list --status ready,running --label k=v --search x',
      'GET /v1/boards/default/tasks?status=ready%2Crunning&q=x&label=k%3Av',
    ],
    ['task get t', 'GET /v1/boards/default/tasks/t'],
    [
      'task set t --priority 2 --clear tenant',
      'PATCH /v1/boards/default/tasks/t {"priority":2,"tenant":null}',
    ],
    [
      'task cancel t --reason r --deadline-seconds 0',
      'POST /v1/boards/default/tasks/t/cancel {"reason":"r","deadline_seconds":0}',
    ],
    ['task unblock t --answer a', 'POST /v1/boards/default/tasks/t/unblock {"answer":"a"}'],
    ['task complete t --result [1]', 'POST /v1/boards/default/tasks/t/complete {"result":[1]}'],
    [
      'task add T --parent p --parent q --run-at 2030-01-01T00:00:00Z',
      'POST /v1/boards/default/tasks {"run_at":"2030-01-01T00:00:00.000Z","parents":["p","q"],"title":"T"}',
    ],
    ['tasks list --parent p', 'GET /v1/boards/default/tasks?parent=p'],
    ['task link c p', 'PUT /v1/boards/default/tasks/c/parents/p'],
    ['task unlink c p', 'DELETE /v1/boards/default/tasks/c/parents/p'],
    ['task graph t', 'GET /v1/boards/default/tasks/t/graph'],
    ['task context t', 'GET /v1/boards/default/tasks/t/context'],
    [
      'task schedule t 2030-01-01T00:00:00Z',
      'POST /v1/boards/default/tasks/t/schedule {"run_at":"2030-01-01T00:00:00.000Z"}',
    ],
    ['task accept t', 'POST /v1/boards/default/tasks/t/accept'],
    ['task request-changes t why', 'POST /v1/boards/default/tasks/t/request-changes {"reason":"why"}'],
    [
      'run heartbeat --run r --progress 2 --checkpoint [1]',
      'POST /v1/runs/r/heartbeat {"progress":2,"checkpoint":[1]}',
    ],
    ['run complete --run r --result 1', 'POST /v1/runs/r/complete {"result":1}'],
    ['run complete --run r --review', 'POST /v1/runs/r/complete {"review":true}'],
    ['run complete --run r --reviewer qa', 'POST /v1/runs/r/complete {"reviewer":"qa","review":true}'],
    ['run request-changes --run r why', 'POST /v1/runs/r/request-changes {"reason":"why"}'],
    ['run block --run r why --kind dependency', 'POST /v1/runs/r/block {"reason":"why","kind":"dependency"}'],
    ['run release --run r --delay-seconds 3', 'POST /v1/runs/r/release {"delay_seconds":3}'],
    [
      'run fail --run r why --permanent --metadata {"a":1}',
      'POST /v1/runs/r/fail {"error":"why","permanent":true,"metadata":{"a":1}}',
    ],
    ['task promote t', 'POST /v1/boards/default/tasks/t/promote'],
    ['task assign t l', 'POST /v1/boards/default/tasks/t/assign {"lane":"l"}'],
    ['task assign t -', 'POST /v1/boards/default/tasks/t/assign {"lane":null}'],
    ['task archive t', 'POST /v1/boards/default/tasks/t/archive'],
    ['task reopen t', 'POST /v1/boards/default/tasks/t/reopen'],
    ['task comment t hello', 'POST /v1/boards/default/tasks/t/comments {"body":"hello"}'],
    ['task comments t', 'GET /v1/boards/default/tasks/t/comments'],
    ['task runs t --limit 3', 'GET /v1/boards/default/tasks/t/runs?limit=3'],
    ['task events t --after c', 'GET /v1/boards/default/tasks/t/events?after=c'],
    [
      'key create --role lane --name n --lane l',
      'POST /v1/keys {"role":"lane","name":"n","board":"default","lane":"l"}',
    ],
    [
      'lane claim l --max 2 --worker w --json',
      'POST /v1/boards/default/lanes/l/claims {"max":2,"worker":"w"}',
    ],
    ['run output --run r two', 'POST /v1/runs/r/output {"lines":["two"]}'],
    ['run ack --run r m n', 'POST /v1/runs/r/messages/ack {"ids":["m","n"]}'],
    ['key rotate-signing-key', 'POST /v1/signing-keys/rotate'],
    ['key list', 'GET /v1/keys'],
    ['key revoke key_1 --yes', 'DELETE /v1/keys/key_1'],
    ['events --kinds task.failed --limit 7', 'GET /v1/boards/default/events?kinds=task.failed&limit=7'],
    ['task why t', 'GET /v1/boards/default/tasks/t/why'],
    ['attention', 'GET /v1/boards/default/attention'],
    ['snapshot', 'GET /v1/boards/default/snapshot'],
    ['whoami', 'GET /v1/whoami'],
  ];
  for (const [line, request] of requests) {
    test(`${line} asks for ${request.split(' ', 2).join(' ')}`, async () => {
      // Any final answer will do: it is the question that counts.
      api.server.respond = () => problem(404, 'not_found');
      expect((await run(line.split(' '))).code).toBe(3);
      expect(lastRequest()).toBe(request);
      expect(api.server.requests.at(-1)?.headers.authorization).toBe('Bearer lk_test');
    });
  }
});
