/** audit list | export */
import { open } from 'node:fs/promises';
import type { Client } from '../../client/client.ts';
import type { ReplyOf } from '../../client/operation-types.ts';
import { LIMITS } from '../../contract/constants.ts';
import type { Context } from '../context.ts';
import { UsageError } from '../exit-codes.ts';
import { giveExamples, integerFrom, listFrom, timeFrom, withExamples } from '../options.ts';
import { drained } from '../output.ts';
import type { Register } from '../register.ts';
import { writeTable } from '../table.ts';

type Entry = ReplyOf<'listAudit'>['entries'][number];

interface FilterFlags {
  readonly since?: string;
  readonly until?: string;
  readonly actors?: string[];
  readonly actions?: string[];
  readonly boards?: string[];
}

interface ListFlags extends FilterFlags {
  readonly after?: string;
  readonly before?: string;
  readonly limit?: number;
}

interface ExportFlags extends FilterFlags {
  readonly after?: string;
  readonly append?: boolean;
}

export const registerAudit: Register = (audit, contextOf) => {
  withExamples(
    audit,
    `  lanekeeper audit
  lanekeeper audit list --actions key.*,access.refused --since 2026-11-01T00:00:00Z
  lanekeeper audit export audit.ndjson
  lanekeeper audit export audit.ndjson --append --after 4711`,
  );
  const time = timeFrom(Date.now);
  audit
    .command('list', { isDefault: true })
    .description('read a page of the audit log, newest first')
    .option('--after <seq>', 'instead: after an entry or from "start", oldest first')
    .option('--before <seq>', 'back from an entry, or from "now" (the default)')
    .option('--limit <n>', 'entries a page', integerFrom(1, LIMITS.eventPageRowsMax))
    .option('--since <time>', 'RFC 3339', time)
    .option('--until <time>', 'RFC 3339', time)
    .option('--actors <ids>', 'only these keys and runs', listFrom)
    .option('--actions <names>', 'only these; key.* stands for all of keys', listFrom)
    .option('--boards <names>', 'only these boards', listFrom)
    .action((flags: ListFlags) => listEntries(contextOf(), flags));
  audit
    .command('export [file]')
    .description('write the audit log as JSON, one entry a line, oldest first, to a file or to stdout')
    .option('--after <seq>', 'go on after the last entry of an earlier export')
    .option('--append', 'to a file that is there; without it none may be')
    .option('--since <time>', 'RFC 3339', time)
    .option('--until <time>', 'RFC 3339', time)
    .option('--actors <ids>', 'only these keys and runs', listFrom)
    .option('--actions <names>', 'only these; key.* stands for all of keys', listFrom)
    .option('--boards <names>', 'only these boards', listFrom)
    .action((file: string | undefined, flags: ExportFlags) => exportEntries(contextOf(), file, flags));
  giveExamples(audit, {
    list: `  lanekeeper audit list --limit 20
  lanekeeper audit list --boards factory --actions lane.*,task.deleted --json`,
    export: `  lanekeeper audit export audit.ndjson
  lanekeeper audit export --actions key.* | jq .actor.name`,
  });
};

async function listEntries(context: Context, flags: ListFlags): Promise<void> {
  const { output } = context;
  const isForwards = flags.after !== undefined;
  if (isForwards && flags.before !== undefined) throw new UsageError('Give one of --after and --before');
  const query = isForwards ? flags : { ...flags, before: flags.before ?? 'now' };
  const page = await (await context.client()).audit.list(query);
  if (output.isJson) {
    output.json(page);
    return;
  }
  writeTable(output, page.entries, [
    { title: 'SEQ', text: (entry) => String(entry.seq) },
    { title: 'AT', text: (entry) => entry.at },
    { title: 'ACTION', text: actionOf },
    { title: 'WHO', text: (entry) => entry.actor.name ?? entry.actor.id ?? entry.actor.type },
    { title: 'BOARD', text: (entry) => entry.board ?? '-' },
    { title: 'SUBJECT', text: (entry) => entry.subject ?? '-' },
    { title: 'FROM', text: (entry) => entry.address ?? '-' },
  ]);
  if (page.has_more) output.note(`More: --${isForwards ? 'after' : 'before'} ${page.cursor}`);
}

function actionOf({ action, code, count }: Entry): string {
  const times = count > 1 ? ` ×${count}` : '';
  return `${action}${code === null ? '' : ` (${code})`}${times}`;
}

/** Every entry is written out before the next page is asked for, so that what a broken export holds is good up to its last line. */
async function exportEntries(context: Context, file: string | undefined, flags: ExportFlags): Promise<void> {
  const { append: isAppended = false, ...query } = flags;
  const client = await context.client();
  if (file === undefined || file === '-') {
    await eachPage(client, query, context, async (entries) => {
      for (const entry of entries) context.output.jsonLine(entry);
      await drained(context.output);
    });
    return;
  }
  const handle = await open(file, isAppended ? 'a' : 'wx', 0o600).catch((error: unknown) => {
    const isThere = error instanceof Error && 'code' in error && error.code === 'EEXIST';
    if (isThere)
      throw new UsageError(`${file} is there already: go on with --append --after SEQ, or name another`);
    throw new UsageError(`Cannot write ${file}: ${error instanceof Error ? error.message : error}`, {
      cause: error,
    });
  });
  try {
    await eachPage(client, query, context, async (entries) => {
      await handle.appendFile(entries.map((entry) => `${JSON.stringify(entry)}\n`).join(''));
      await handle.datasync();
    });
  } finally {
    await handle.close();
  }
}

async function eachPage(
  client: Client,
  query: Omit<ExportFlags, 'append'>,
  { output }: Context,
  write: (entries: readonly Entry[]) => Promise<void>,
): Promise<void> {
  let count = 0;
  let cursor = query.after ?? 'start';
  for await (const page of client.audit.list({ ...query, limit: LIMITS.eventPageRowsMax }).pages()) {
    if (page.entries.length > 0) await write(page.entries);
    count += page.entries.length;
    cursor = page.cursor;
  }
  output.note(`${count} entries. To go on from here: --after ${cursor}`);
}
