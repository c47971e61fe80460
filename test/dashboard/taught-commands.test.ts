/** What the dashboard says to type can be typed: every command that it names is parsed by the program itself. */
import type { Command } from 'commander';
import { expect, test } from 'vitest';
import { buildCommandTree } from '../../src/cli/command-tree.ts';
import type { Context } from '../../src/cli/context.ts';
import {
  claimSnippet,
  mcpCommands,
  mcpStdioSnippet,
  workSnippet,
} from '../../src/dashboard/lanes/snippets.ts';
import { firstCommands } from '../../src/dashboard/shell/first-commands.ts';
import { commandsOf } from '../cli/fixtures/every-command.ts';
import { commandsIn, taughtCommands } from './fixtures/taught-commands.ts';

/** Parses and does nothing. Resolves to why the words are refused; null: they are a command. */
async function makeParser(): Promise<(words: readonly string[]) => Promise<string | null>> {
  const silent = { write: () => true } as unknown as NodeJS.WriteStream;
  const program = await buildCommandTree({
    argv: 'everything',
    system: { stdout: silent, stderr: silent },
    makeContext: () => ({}) as unknown as Context,
  });
  let ran: Command | null = null;
  for (const { command } of commandsOf(program))
    if (command.commands.length === 0 || command.options.length > 0)
      command.action((...given: unknown[]) => {
        ran = given.at(-1) as Command;
      });
  return async (words) => {
    ran = null;
    try {
      await program.parseAsync(words, { from: 'user' });
    } catch (error) {
      return error instanceof Error ? error.message : String(error);
    }
    return ran === null ? 'no command ran' : null;
  };
}

async function refusedOf(commands: readonly (readonly string[])[]): Promise<string[]> {
  const parse = await makeParser();
  const refused: string[] = [];
  for (const words of commands) {
    const why = await parse(words);
    if (why !== null) refused.push(`lanekeeper ${words.join(' ')}: ${why}`);
  }
  return refused;
}

test('every command that the dashboard names is one of the command line, with options that it has', async () => {
  const taught = taughtCommands();
  expect(new Set(taught.map(({ file }) => file))).toContain('shell/first-commands.ts');
  expect(taught.length).toBeGreaterThan(20);
  const whole = taught.filter(({ file }) => file !== 'lanes/snippets.ts');
  expect(await refusedOf(whole.map(({ words }) => words))).toEqual([]);
});

test('so are those of the snippets, which are put together for a board and a lane', async () => {
  const subject = {
    url: 'http://127.0.0.1:8080',
    board: 'other',
    lane: 'factory',
    secret: undefined,
    leaseSeconds: 60,
  };
  const texts = [
    ...firstCommands('default'),
    ...firstCommands('other'),
    workSnippet(subject),
    claimSnippet(subject),
    mcpCommands(subject),
  ];
  const commands = [...texts.flatMap(commandsIn), mcpWords(mcpStdioSnippet(subject))];
  expect(commands).toContainEqual(['lane', 'register', 'factory', '--board', 'other']);
  expect(commands).toContainEqual(['lane', 'claim', 'factory', '--wait', '30s', '--env']);
  expect(await refusedOf(commands)).toEqual([]);
});

function mcpWords(document: string): string[] {
  const { mcpServers } = JSON.parse(document) as { mcpServers: { lanekeeper: { args: string[] } } };
  return mcpServers.lanekeeper.args;
}

test('what is no command, and an option that there is not, are refused', async () => {
  const wrong = [
    'lanekeeper lane put builder',
    'lanekeeper task add --lane factory --named "First task"',
    'lanekeeper work --lane factory -- ./run.sh',
    'lanekeeper lane register factory --colour red',
    'lanekeeper lane key',
  ];
  expect(await refusedOf(wrong.flatMap(commandsIn))).toHaveLength(wrong.length);
});
