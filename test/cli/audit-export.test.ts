/** The audit log is exported whole, in its order, to where it was left off. */
import { readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { useScriptedApi } from './fixtures/scripted-api.ts';

const api = useScriptedApi();

const entryOf = (seq: number) => ({
  ...{
    seq,
    at: '2026-01-01T00:00:00.000Z',
    action: 'key.created',
    board: null,
    subject: 'key_1',
    outcome: 'done',
  },
  ...{ code: null, count: 1, address: '192.0.2.1', request_id: null, data: {} },
  actor: { type: 'key', id: 'key_0', name: 'root' },
});

/** A log of five entries, two a page. */
function serveLog(): void {
  api.server.respond = ({ path }) => {
    const after = new URL(path, 'http://log').searchParams.get('after');
    const first = after === null || after === 'start' ? 1 : Number(after) + 1;
    const seqs = [first, first + 1].filter((seq) => seq <= 5);
    const last = seqs.at(-1) ?? 5;
    return { status: 200, json: { entries: seqs.map(entryOf), cursor: String(last), has_more: last < 5 } };
  };
}

const seqsOf = (text: string): number[] =>
  text
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line).seq);

test('to stdout, page after page, and says where to go on', async () => {
  serveLog();
  const { code, stdout, stderr } = await api.run(['audit', 'export', '--actions', 'key.*']);
  expect([code, seqsOf(stdout)]).toEqual([0, [1, 2, 3, 4, 5]]);
  expect(stderr).toContain('5 entries. To go on from here: --after 5');
  expect(
    api.server.requests.every(
      ({ path }) => path.includes('actions=key.*') || path.includes('actions=key.%2A'),
    ),
  ).toBe(true);
});

test('to a file of its owner only, which is never overwritten, and goes on behind its last entry', async () => {
  serveLog();
  const file = join(api.directory, 'audit.ndjson');
  const first = await api.run(['audit', 'export', file]);
  expect([first.code, first.stdout]).toEqual([0, '']);
  expect((await stat(file)).mode & 0o777).toBe(0o600);
  const again = await api.run(['audit', 'export', file]);
  expect(again.code).toBe(2);
  expect(again.stderr).toContain('is there already');
  const lines = (await readFile(file, 'utf8')).trimEnd().split('\n');
  await writeFile(file, `${lines.slice(0, 3).join('\n')}\n`);
  await api.run(['audit', 'export', file, '--append', '--after', '3']);
  expect(seqsOf(await readFile(file, 'utf8'))).toEqual([1, 2, 3, 4, 5]);
});

test('that breaks off leaves what it had in good order', async () => {
  serveLog();
  const whole = api.server.respond;
  api.server.respond = (request) =>
    request.path.includes('after=4')
      ? { status: 403, json: { code: 'forbidden', title: 't', status: 403, detail: 'revoked' } }
      : whole(request);
  const file = join(api.directory, 'broken.ndjson');
  const { code } = await api.run(['audit', 'export', file]);
  expect(code).toBe(4);
  expect(seqsOf(await readFile(file, 'utf8'))).toEqual([1, 2, 3, 4]);
});
