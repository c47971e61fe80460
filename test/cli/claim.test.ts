/** lane claim --env: what a shell makes of it must not go on where there is no claim. */
import { execFileSync } from 'node:child_process';
import { describe, expect, test } from 'vitest';
import { problem } from '../client/fixtures/scripted-server.ts';
import { useScriptedApi } from './fixtures/scripted-api.ts';

const api = useScriptedApi();
const { run } = api;
const CLAIM = {
  run_id: 'run_1',
  token: "lkc_it's",
  attempt: 1,
  lane: 'l',
  task: { id: 'task_1', board: 'default' },
};

/** As the documentation has it, with what the command has printed in the place of the command. */
function shell(printed: string, code: number): string {
  const script = `( claim=$(printf %s "$PRINTED"; exit "$CODE") && eval "$claim" && echo "done $LANEKEEPER_RUN_ID" ) || echo stopped`;
  const careless = `eval "$(printf %s "$PRINTED")" && echo "done $LANEKEEPER_RUN_ID" || echo stopped`;
  const env = { PRINTED: printed, CODE: String(code), LANEKEEPER_RUN_ID: 'run_of_before' };
  return [script, careless].map((text) => execFileSync('sh', ['-c', text], { env })).join('');
}

describe('lane claim --env', () => {
  test('prints a claim for a shell', async () => {
    api.server.respond = () => ({ status: 200, json: { claims: [CLAIM] } });
    const { code, stdout } = await run(['lane', 'claim', 'l', '--env']);
    expect(code).toBe(0);
    expect(shell(stdout, code)).toBe('done run_1\ndone run_1\n');
  });

  test('stops a shell where nothing was claimed, and where it was refused', async () => {
    const answers = [
      [{ status: 200, json: { claims: [], reason: 'none_ready' } }, 124],
      [problem(403, 'forbidden'), 4],
    ] as const;
    for (const [answer, code] of answers) {
      api.server.respond = () => answer;
      const end = await run(['lane', 'claim', 'l', '--env']);
      expect(end).toMatchObject({ code, stdout: 'false\n' });
      expect(shell(end.stdout, code)).toBe('stopped\nstopped\n');
    }
  });

  test('waits longer than one request may, by several', async () => {
    api.server.respond = () => ({
      status: 200,
      json: { claims: api.server.requests.length > 1 ? [CLAIM] : [] },
    });
    expect(await run(['lane', 'claim', 'l', '--env', '--wait', '2m'])).toMatchObject({ code: 0 });
    expect(api.server.requests.map(({ headers }) => headers['prefer'])).toEqual(['wait=60', 'wait=60']);
    const keys = api.server.requests.map(({ headers }) => headers['idempotency-key']);
    expect(new Set(keys).size).toBe(2);
  });
});
