/** A restore puts the past in the place of the present, whole or not at all, and nothing of the time between passes for good afterwards. */
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { BackupWriter } from '../../../../src/server/db/backup/backup-writer.ts';
import type { Header } from '../../../../src/server/db/backup/records.ts';
import { dropFormerDatabase, undoRestore } from '../../../../src/server/db/backup/restore-backup.ts';
import { tellPastApart } from '../../../../src/server/db/backup/tell-past-apart.ts';
import type { Sql } from '../../../../src/server/db/client.ts';
import { checkedClient } from '../../../fixtures/checked-client.ts';
import { startTestServer, type TestServer, useTestServer } from '../../../fixtures/server.ts';
import {
  companionsOf,
  look,
  restore,
  take,
  titlesOf,
  useBackupFile,
  useDirectory,
  useMigratedDatabase,
  verify,
  whileServed,
} from './backed-up.ts';

describe('a restore', () => {
  test('refuses a database with boards, unless it may replace it; then what was there can be had back', async () => {
    const database = await useMigratedDatabase();
    const file = await useBackupFile();
    await whileServed(database.url, async (board) => {
      await board.task(null, { title: 'before', status: 'triage' });
      await take(database.url, file);
      await board.task(null, { title: 'after', status: 'triage' });
      await expect(restore(database.url, file, { mayReplace: true })).rejects.toThrow(/server is connected/);
    });
    await expect(restore(database.url, file)).rejects.toThrow(
      /with 1 board and tasks in it\. Nothing was changed/,
    );
    expect(await titlesOf(database.url)).toEqual(['after', 'before']);

    const restored = await restore(database.url, file, { mayReplace: true });
    expect(restored.formerDatabase).toBe(`${database.name}_before_restore`);
    expect(await titlesOf(database.url)).toEqual(['before']);
    await undoRestore(database.url);
    expect(await titlesOf(database.url)).toEqual(['after', 'before']);
    expect(await dropFormerDatabase(database.url)).toBe(true);
    expect(await companionsOf(database.name)).toEqual(['']);
    await expect(undoRestore(database.url)).rejects.toThrow(/nothing to go back to/);
  });

  test('that is interrupted at any table leaves what was there, and the next one succeeds', async () => {
    const database = await useMigratedDatabase();
    const file = await useBackupFile();
    await whileServed(database.url, async (board) => {
      await board.task(null, { title: 'before', status: 'triage' });
      await take(database.url, file);
      await board.task(null, { title: 'after', status: 'triage' });
    });
    const filled = (await verify(file)).manifest.tables.filter(({ rows }) => rows > 0);
    expect(filled.length).toBeGreaterThan(5);
    for (const { name } of filled.filter((_, index) => index % 3 === 0)) {
      const stopping = new AbortController();
      const interrupted = restore(database.url, file, {
        mayReplace: true,
        signal: stopping.signal,
        onProgress: ({ table }) => {
          if (table === name) stopping.abort();
        },
      });
      await expect(interrupted).rejects.toThrow();
      expect(await companionsOf(database.name)).toEqual(['']);
      expect(await titlesOf(database.url)).toEqual(['after', 'before']);
    }
    await restore(database.url, file, { mayReplace: true });
    expect(await titlesOf(database.url)).toEqual(['before']);
  });

  test('of rows or names that are not those of the schema changes nothing', async () => {
    const database = await useMigratedDatabase();
    await whileServed(database.url, (board) => board.task(null, { title: 'kept', status: 'triage' }));
    const source = await useBackupFile();
    const { header } = await take(database.url, source);
    const directory = await useDirectory();
    const write = async (
      name: string,
      table: string,
      columns: string[],
      rows: string,
      as: Header = header,
    ) => {
      const file = join(directory, name);
      const writer = await BackupWriter.create(file, false);
      await writer.writeHeader(as);
      await writer.beginTable({ name: table, columns });
      await writer.writeRows(Buffer.from(rows));
      await writer.endTable();
      await writer.finish(false);
      return file;
    };
    const links = ['board_id', 'child_id', 'parent_id', 'is_met', 'created_at'];
    const [one, two] = ['00000000-0000-0000-0000-000000000001', '00000000-0000-0000-0000-000000000002'];
    const row = `1\t${one}\t${two}\tt\t2026-01-01 00:00:00+00\n`;
    const hostile = [
      await write('catalog', 'pg_authid', ['oid'], '1\n'),
      await write('missing', 'links', links.slice(1), row),
      await write('twice', 'links', ['board_id', ...links], row),
      await write('foreign', 'links', [...links, 'ctid'], row),
      await write('key', 'links', links, row + row),
      await write('check', 'links', links, `1\t${one}\t${one}\tt\t2026-01-01 00:00:00+00\n`),
      await write('text', 'links', links, 'no number\n'),
      await write('short', 'links', links, '1\n'),
      await write('end', 'links', links, `${row}\\.\n${row}`),
    ];
    for (const file of hostile) {
      await expect(restore(database.url, file, { mayReplace: true }), file).rejects.toThrow();
      expect(await companionsOf(database.name), file).toEqual(['']);
    }
    expect(await titlesOf(database.url)).toEqual(['kept']);
  });

  test('takes back what was issued after it: later claim tokens are refused, later cursors have expired, earlier ones go on', async () => {
    const database = await useMigratedDatabase();
    const file = await useBackupFile();
    const held = await whileServed(database.url, async (board) => {
      await board.lane('work');
      await board.tasks('work', 2);
      await board.claims('work', { max: 1 });
      const { events, cursor: before } = (await board.call('GET', '/events?after=start')).body;
      await take(database.url, file);
      // Only its moment tells this token from a good one: the task is in the backup.
      const later = (await board.claims('work', { max: 1 })).body.claims[0];
      const after = (await board.call('GET', '/events?after=start')).body.cursor;
      return { later, before, after, seq: events.at(-1).seq };
    });
    await restore(database.url, file, { mayReplace: true });

    const server = await useTestServer(database.url);
    const api = checkedClient(server.url);
    const beat = (claim: { run_id: string; token: string }) =>
      api.post(`/v1/runs/${claim.run_id}/heartbeat`, {}, { token: claim.token });
    const refused = await beat(held.later);
    expect([refused.status, refused.code]).toEqual([401, 'token_expired']);
    expect(refused.body.detail).toContain('restored');
    const expired = await api.get(`/v1/boards/default/events?after=${held.after}`);
    expect([expired.status, expired.code]).toEqual([410, 'cursor_expired']);
    // Its number is given out again, to another event: it must still be told apart.
    for (let index = 0; index < 5; index += 1) await api.post('/v1/boards/default/tasks', { title: 'new' });
    expect((await api.get(`/v1/boards/default/events?after=${held.after}`)).code).toBe('cursor_expired');
    const resumed = await api.get(`/v1/boards/default/events?after=${held.before}`);
    expect(resumed.status).toBe(200);
    const { events } = resumed.body;
    expect(events.filter(({ kind }: { kind: string }) => kind === 'task.created')).toHaveLength(5);
    expect(events[0].seq).toBe(held.seq + 1);
    // Work goes on: a new key signs, and what it signs is good.
    const fresh = (await api.post('/v1/boards/default/lanes/work/claims', {})).body.claims[0];
    expect((await beat(fresh)).status).toBe(200);
  });
});

describe('the audit log of a restored database', () => {
  test('says that it was, and goes on at numbers that were never given out: a number of the time that was taken back is told so, of whichever restore', async () => {
    const database = await useMigratedDatabase();
    const file = await useBackupFile();
    let lanes = 0;
    const deeds = async (server: TestServer, count: number): Promise<string> => {
      for (let index = 0; index < count; index += 1, lanes += 1)
        await server.call('PUT', `/v1/boards/default/lanes/l${lanes}`, { body: {} });
      return (await server.call('GET', '/v1/audit')).body.cursor;
    };
    const read = (server: TestServer, query: string) => server.call('GET', `/v1/audit?${query}`);
    const [before, lost] = await whileServed(database.url, async (_board, server) => {
      const kept = await deeds(server, 2);
      await take(database.url, file);
      return [kept, await deeds(server, 3)] as const;
    });
    await restore(database.url, file, { mayReplace: true });

    const lostAgain = await whileServed(database.url, async (_board, server) => {
      const refused = await read(server, `after=${lost}`);
      expect([refused.status, refused.body.code]).toEqual([410, 'cursor_expired']);
      expect(refused.body.detail).toContain(`goes on after ${before}.`);
      const last = await deeds(server, 4);
      expect((await read(server, `after=${lost}`)).body.code).toBe('cursor_expired');
      const { entries } = (await read(server, `after=${before}`)).body;
      expect(entries[0]).toMatchObject({
        action: 'database.restored',
        actor: { type: 'system', id: 'restore' },
        outcome: 'done',
        data: { last_seq: Number(before) },
      });
      const seqs = entries.map(({ seq }: { seq: number }) => seq);
      expect(seqs).toEqual(seqs.map((_: number, index: number) => Number(last) - seqs.length + 1 + index));
      expect((await read(server, 'limit=1000')).body.entries).toHaveLength(Number(before) + seqs.length);
      const { entries: back } = (await read(server, `before=${seqs[0]}&limit=1`)).body;
      expect(back[0].seq).toBe(Number(before));
      return last;
    });
    await dropFormerDatabase(database.url);
    await restore(database.url, file, { mayReplace: true });
    await whileServed(database.url, async (_board, server) => {
      await deeds(server, 8);
      for (const seq of [lost, lostAgain])
        expect((await read(server, `after=${seq}`)).body.code, seq).toBe('cursor_expired');
    });
  });
});

describe('a database that was restored by other means', () => {
  test('knows no sign-in code of that moment: one that was used since would be good again', async () => {
    const database = await useMigratedDatabase();
    const { code } = await whileServed(
      database.url,
      async (_board, server) =>
        (await server.call('POST', '/v1/sign-in-codes', { body: { role: 'admin' } })).body,
    );
    await look(database.url, (sql) => tellPastApart(sql as unknown as Sql, null));
    await whileServed(database.url, async (_board, server) => {
      const { status } = await server.call('POST', '/v1/sign-in', { token: null, body: { code } });
      expect(status).toBe(401);
    });
  });

  test('in which no server has ever beaten has no good token, by a moment that every reader understands', async () => {
    const database = await useMigratedDatabase();
    await whileServed(database.url, (board) => board.lane('work'));
    const until = () =>
      look(
        database.url,
        async (sql) => (await sql`SELECT extract(epoch FROM tokens_until)::text AS s FROM signing_keys`)[0],
      );
    await look(database.url, async (sql) => {
      await sql`DELETE FROM pulse`;
      expect((await tellPastApart(sql as unknown as Sql, null)).tokensUntil).toBe(null);
    });
    expect(Number((await until())?.['s'])).toBe(0);
    await look(database.url, (sql) => sql`UPDATE signing_keys SET tokens_until = '-infinity'`);
    await expect(startTestServer(database.url)).rejects.toThrow(/is finite/);
  });

  const issuedAt = (token: string): number =>
    JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString()).iat;

  test('keeps claim tokens of before the moment it went back to, and refuses those of the last moments and after', async () => {
    const database = await useMigratedDatabase();
    const claim = await whileServed(database.url, async (board) => {
      await board.lane('work');
      await board.task('work');
      return (await board.claims('work', {})).body.claims[0];
    });
    const statusAt = async (seconds: number): Promise<number> => {
      const moment = new Date(seconds * 1000).toISOString();
      await look(database.url, async (sql) => {
        await sql`UPDATE signing_keys SET tokens_until = NULL`;
        await tellPastApart(sql as unknown as Sql, moment);
      });
      return whileServed(database.url, async (_board, server) => {
        const path = `/v1/runs/${claim.run_id}/heartbeat`;
        return (await server.call('POST', path, { body: {}, token: claim.token })).status;
      });
    };
    const iat = issuedAt(claim.token);
    expect(await statusAt(iat + 3)).toBe(200);
    expect(await statusAt(iat + 2.9)).toBe(401);
    expect(await statusAt(iat - 60)).toBe(401);
  });

  test('is told apart again and again: cursors of each time are good up to where it was left', async () => {
    const database = await useMigratedDatabase();
    const cursors: string[] = [];
    for (let time = 0; time < 3; time += 1) {
      cursors.push(
        await whileServed(database.url, async (board) => {
          await board.task(null, { status: 'triage' });
          return (await board.call('GET', '/events?after=start')).body.cursor;
        }),
      );
      await look(database.url, (sql) => tellPastApart(sql as unknown as Sql, null));
    }
    await whileServed(database.url, async (board) => {
      const read = async (cursor: string) =>
        (await board.call('GET', `/events?after=${cursor}`)).body.events.length;
      expect(await Promise.all(cursors.map(read))).toEqual([2, 1, 0]);
      const { signing_keys } = await look(database.url, async (sql) => ({
        signing_keys: await sql`SELECT FROM signing_keys WHERE tokens_until IS NULL`,
      }));
      expect(signing_keys).toHaveLength(1);
    });
  });
});
