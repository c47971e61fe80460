// Writes docs/cli.md from the program itself; with --check only says whether the committed one is current.
// The file is never edited by hand: a change starts in src/cli. The page is a reference: how to do things is told by the other pages.

import { readFile, writeFile } from 'node:fs/promises';
import type { Command, Option } from 'commander';
import { buildCommandTree } from '../src/cli/command-tree.ts';
import { EXIT_CODES_HELP } from '../src/cli/exit-codes.ts';
import { examplesOf } from '../src/cli/options.ts';

const TARGET = new URL('../docs/cli.md', import.meta.url);

const HEAD = `<!-- Generated from src/cli by \`npx tsx scripts/write-cli-docs.ts\`. Do not edit. -->
# Command line

Every command, with its options. \`lanekeeper help COMMAND\` says the same. Nouns answer to their plural too: \`lanekeeper tasks list\`.

## What all commands share

**Which server, board and key.** Flags come before the environment (\`LANEKEEPER_URL\`, \`LANEKEEPER_BOARD\`, \`LANEKEEPER_TOKEN\` or
\`LANEKEEPER_TOKEN_FILE\`, \`LANEKEEPER_PROFILE\`), then the current profile (\`login\`, \`profile\`), then the server that runs in this directory
(or in \`LANEKEEPER_DATA_DIR\`), whose admin key is read for its own loopback address only. The key of a profile is sent to the server of that
profile and to no other. Profiles are kept in \`$XDG_CONFIG_HOME/lanekeeper/profiles.json\`, which only its owner can read.

**Secrets** come from files and stdin: \`--token-file FILE\`, \`--token -\`, \`--webhook-secret @FILE\`. A secret among the arguments is taken with
a warning: everybody on the machine can read it there.

**Output.** Data goes to stdout, everything else to stderr. \`--json\` prints what the API answers, one document; commands that follow
(\`watch\`, \`task logs --follow\`, \`task wait\`, \`--watch\`) print one JSON document a line. What the API answers with nothing (a delete) prints
nothing. \`--quiet\` leaves out all messages but errors and warnings. Progress of long work is a bar on a terminal and a line now and then elsewhere.

**Colours** on a terminal only, unless \`FORCE_COLOR\` is set. \`NO_COLOR\`, \`FORCE_COLOR=0\`, \`TERM=dumb\` and \`--no-color\` switch them off.

**What cannot be undone** is asked about on a terminal. Where nobody can be asked it is refused without \`--yes\`: deleting boards, lanes and
tasks, and revoking keys.

**Texts.** Where an option or argument takes "text, @file, or -", \`@FILE\` reads a file and \`-\` reads stdin. Reasons and errors are taken as
they are, but for \`-\`.

**A closed pipe** (\`| head\`) ends a command quietly with exit code 0. Ctrl-C ends it at once with 130; \`work\` and \`dispatch\` drain first.

**Completions**: \`lanekeeper completion bash|zsh|fish|powershell\`, with names of lanes and boards and ids of the newest tasks.

## Exit codes

`;

/** Each "&", "<" and "|" of a text as itself within a table of Markdown. */
function cell(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('|', '\\|').replace(/\s+/g, ' ');
}

function optionRow(option: Option): string {
  const choices = option.argChoices === undefined ? '' : ` (${option.argChoices.join(', ')})`;
  const isWorthSaying = ['string', 'number'].includes(typeof option.defaultValue);
  const standard = isWorthSaying ? `; default ${String(option.defaultValue)}` : '';
  const needed = option.mandatory ? '; required' : '';
  return `| \`${option.flags.replaceAll('|', '\\|')}\` | ${cell(`${option.description}${choices}${standard}${needed}`)} |`;
}

function optionTable(options: readonly Option[]): string[] {
  const shown = options.filter(({ hidden }) => !hidden);
  if (shown.length === 0) return [];
  return ['| option | |', '| --- | --- |', ...shown.map(optionRow), ''];
}

function block(text: string): string[] {
  return ['```text', text.replace(/^ {2}/gm, ''), '```', ''];
}

/** What the help of a command says after its options. */
function tailOf(command: Command): string {
  let text = '';
  command.configureOutput({
    writeOut: (part) => {
      text += part;
    },
  });
  command.outputHelp();
  const middle = command.helpInformation();
  return text.slice(text.indexOf(middle) + middle.length).trim();
}

function section(path: string, command: Command): string[] {
  const level = path.includes(' ') ? '###' : '##';
  const examples = examplesOf(command);
  const tail = tailOf(command);
  const description = command.description();
  return [
    `${level} ${path}`,
    '',
    `${description.charAt(0).toUpperCase()}${description.slice(1)}${description.endsWith('.') ? '' : '.'}`,
    '',
    ...(examples === undefined ? [] : block(examples)),
    ...(command.commands.length > 0 && command.options.length === 0
      ? []
      : [`\`lanekeeper ${path} ${command.usage()}\``, '']),
    ...(command.aliases().length > 0
      ? [
          `Also: ${command
            .aliases()
            .map((alias) => `\`${alias}\``)
            .join(', ')}.`,
          '',
        ]
      : []),
    ...optionTable(command.options),
    ...(tail === '' ? [] : block(tail)),
    ...command.commands.flatMap((each) => section(`${path} ${each.name()}`, each)),
  ];
}

/** The text of docs/cli.md. */
export async function renderCliDocs(): Promise<string> {
  const silent = { write: () => true } as unknown as NodeJS.WriteStream;
  const program = await buildCommandTree({
    argv: 'everything',
    system: { stdout: silent, stderr: silent },
    makeContext: () => {
      throw new Error('nothing is run here');
    },
  });
  const commands = program.createHelp().visibleCommands(program);
  const lines = [
    ...block(EXIT_CODES_HELP.trimEnd()),
    '## Options of every command',
    '',
    ...optionTable(program.options),
    ...commands.flatMap((each) => section(each.name(), each)),
  ];
  return `${HEAD}${lines.join('\n').trimEnd()}\n`;
}

async function main(flags: readonly string[]): Promise<void> {
  const rendered = await renderCliDocs();
  if (!flags.includes('--check')) {
    await writeFile(TARGET, rendered);
    return;
  }
  const committed = await readFile(TARGET, 'utf8').catch(() => '');
  if (committed === rendered) return;
  console.error('docs/cli.md is stale: run `npx tsx scripts/write-cli-docs.ts` and commit the result.');
  process.exitCode = 1;
}

if (import.meta.filename === process.argv[1]) await main(process.argv.slice(2));
