/** import hermes, import tasks: takes the board of another system over. */
import { resolve } from 'node:path';
import type { Context } from '../context.ts';
import { type ImportReport, importHermes } from '../import/hermes-import.ts';
import { findProfiles } from '../import/hermes-place.ts';
import { listFrom, withExamples } from '../options.ts';
import { printable } from '../output.ts';
import { Progress } from '../progress.ts';
import type { Register } from '../register.ts';
import { addImportTasksCommand } from './import-tasks.ts';

interface ImportFlags {
  readonly dryRun?: boolean;
  readonly profiles?: string[];
}

export const registerImport: Register = (command, contextOf) => {
  command.description('Take over the tasks of another board, with their runs, comments and links.');
  withExamples(
    command,
    `  lanekeeper import hermes ~/.hermes/kanban.db --dry-run
  lanekeeper import tasks tasks.jsonl --dry-run`,
  );
  addImportTasksCommand(command, contextOf);
  withExamples(
    command
      .command('hermes <path>')
      .description("read a Hermes board's kanban.db, and import what the board does not have yet")
      .option('--dry-run', 'report what would be done, and write nothing')
      .option(
        '--profiles <names>',
        'assignees that a dispatcher starts processes for: lanes of kind spawn (default: the profiles beside the database)',
        listFrom,
      ),
    `  lanekeeper import hermes ~/.hermes/kanban.db --dry-run
  lanekeeper import hermes ~/.hermes/kanban/boards/site/kanban.db --board site
  lanekeeper import hermes kanban.db --profiles coder,writer --json > report.json`,
  )
    .addHelpText(
      'after',
      `
The file is only read, also while Hermes has it open. Takes an admin key, and a board that exists.
Run it again whenever you like: tasks are told by their ids, kept as external_ref, and those that are there are left alone.
What becomes of everything: docs/import-hermes.md
`,
    )
    .action((path: string, flags: ImportFlags) => runImport(contextOf(), path, flags));
};

async function runImport(context: Context, path: string, flags: ImportFlags): Promise<void> {
  const { output } = context;
  const file = resolve(context.system.workingDirectory, path);
  const progress = new Progress(output, 'tasks');
  const report = await importHermes({
    path: file,
    client: await context.client(),
    isDryRun: flags.dryRun ?? false,
    profiles: flags.profiles ? new Set(flags.profiles) : await findProfiles(file),
    onProgress: (done, total) => progress.show(done, total),
  }).finally(() => progress.end());
  if (output.isJson) output.json(report);
  else writeReport(context, report);
}

function writeReport({ output }: Context, report: ImportReport): void {
  const { tasks, links, lanes, findings } = report;
  output.line(
    report.dry_run ? `Would import into board ${report.board}:` : `Imported into board ${report.board}:`,
  );
  const { title, description } = report.named ?? {};
  if (title) output.line(`  title     ${printable(title)}`);
  if (description) output.line(`  about     ${printable(description)}`);
  const statuses = Object.entries(report.statuses).map(([status, count]) => `${count} ${status}`);
  output.line(
    `  tasks     ${tasks.created} of ${tasks.found}, ${tasks.present} there already, ${tasks.left_out} left out`,
  );
  if (statuses.length > 0) output.line(`            ${statuses.join(', ')}`);
  output.line(`  links     ${links.created} of ${links.found}`);
  output.line(`  runs      ${report.runs}`);
  output.line(`  comments  ${report.comments}`);
  const { created, present } = report.subscriptions;
  if (created + present > 0)
    output.line(`  told      ${created} new subscriptions, ${present} there already`);
  const names = lanes.created.map(({ name, kind }) => `${name} (${kind})`).join(', ');
  output.line(
    `  lanes     ${lanes.created.length} new, ${lanes.present} there already${names && `: ${names}`}`,
  );
  for (const { count, meaning, examples } of findings) {
    const shown = examples.length === 0 ? '' : `: ${examples.map(printable).join(', ')}`;
    output.line(
      `  ${String(count).padStart(8)}  ${meaning}${shown}${count > examples.length && shown ? ', …' : ''}`,
    );
  }
}
