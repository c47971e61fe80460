/** import tasks: takes tasks over from lines of JSON that somebody has made of another system's, whatever it is. */
import type { Command } from 'commander';
import type { BodyOf, ReplyOf } from '../../client/operation-types.ts';
import { LIMITS } from '../../contract/constants.ts';
import type { Context } from '../context.ts';
import { UsageError } from '../exit-codes.ts';
import { objectsOf } from '../json-lines.ts';
import { given, withExamples } from '../options.ts';
import { printable } from '../output.ts';

type Body = BodyOf<'importTasks'>;

interface ImportFlags {
  readonly dryRun?: boolean;
}

export function addImportTasksCommand(command: Command, contextOf: () => Context): void {
  withExamples(
    command
      .command('tasks <file>')
      .description(
        `take tasks over from a file with one JSON object a line, - for stdin; up to ${LIMITS.batchTasksMax}, all or none`,
      )
      .option('--dry-run', 'answer as if, and write nothing'),
    `  lanekeeper import tasks tasks.jsonl --dry-run
  ./export-from-elsewhere | lanekeeper import tasks -`,
  )
    .addHelpText(
      'after',
      `
What a line may hold: ImportedTask in openapi.yaml, for example
  {"external_ref": "T-1", "title": "Paint it", "status": "done", "created_at": "2026-01-05T10:00:00.000Z"}
It may leave out runs, comments and parents, and created_at, which is now then.
Tasks are told by their external_ref: those that the board has already are left alone. Takes an admin key.
`,
    )
    .action((file: string, flags: ImportFlags) => importTasks(contextOf(), file, flags));
}

async function importTasks(context: Context, file: string, flags: ImportFlags): Promise<void> {
  const lines = objectsOf(await context.readText(file === '-' ? '-' : `@${file}`), file);
  const tasks = lines.map((line) => ({ ...unsaid(), ...line }));
  if (tasks.length > LIMITS.batchTasksMax)
    throw new UsageError(`At most ${LIMITS.batchTasksMax} tasks at once; there are ${tasks.length}`);
  const client = await context.client();
  // JSON as given; what is wrong with it the server says with a pointer.
  const body = { tasks: tasks as Body['tasks'], ...given({ dry_run: flags.dryRun }) };
  const reply = await client.boards.importTasks(client.board, body);
  if (context.output.isJson) context.output.json(reply);
  else writeReply(context, reply, flags.dryRun ?? false);
}

/** What the wire wants said, and a line may leave out: nothing became of it, and it is from now. */
function unsaid(): Pick<Body['tasks'][number], 'created_at' | 'runs' | 'comments' | 'parents'> {
  return { created_at: new Date().toISOString(), runs: [], comments: [], parents: [] };
}

function writeReply({ output }: Context, reply: ReplyOf<'importTasks'>, isDryRun: boolean): void {
  for (const { external_ref: reference, created, status, notes } of reply.tasks) {
    const left = notes.length === 0 ? '' : `  left out: ${notes.join(', ')}`;
    output.line(`${printable(reference)}  ${created ? status : 'there already'}${left}`);
  }
  const created = reply.tasks.filter((task) => task.created).length;
  output.note(`${isDryRun ? 'Would import' : 'Imported'} ${created} of ${reply.tasks.length} tasks.`);
}
