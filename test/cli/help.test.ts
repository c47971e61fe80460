/** Help: every command leads with examples, and each of them is a command line that the program understands. */
import type { Command } from 'commander';
import { beforeAll, describe, expect, test } from 'vitest';
import { examplesOf } from '../../src/cli/options.ts';
import { commandsOf, loadProgram, type NamedCommand } from './fixtures/every-command.ts';
import { useScriptedApi } from './fixtures/scripted-api.ts';

let program: Command;
let commands: NamedCommand[];
beforeAll(async () => {
  program = await loadProgram();
  commands = commandsOf(program);
});

/** A shell asks it, and help is about the others. */
const WITHOUT_EXAMPLES = ['complete', 'help'];

/** Each "lanekeeper …" up to its end, also within $(…), without texts in quotes, whose words are no options. */
function linesOf(examples: string): string[][] {
  const inner = [...examples.matchAll(/\$\(([^()]*)\)/g)].map(([, text = '']) => text);
  const bare = [examples.replace(/\$\([^()]*\)/g, 'X'), ...inner]
    .join('\n')
    .replace(/'[^']*'|"[^"]*"/g, 'TEXT');
  return [...bare.matchAll(/lanekeeper ([^|&;<>\n]*)/g)].map(([, words = '']) =>
    words.split(/\s+/).filter((word) => word !== ''),
  );
}

/** The command that the words name. */
function find(words: readonly string[]): Command {
  let command = program;
  for (const word of words) {
    if (word === '--') break;
    const next = command.commands.find((each) => each.name() === word || each.aliases().includes(word));
    if (next === undefined) continue;
    command = next;
  }
  return command;
}

describe('help', () => {
  test('of every command leads with examples', () => {
    const without = commands.filter(({ path, command }) => {
      const examples = examplesOf(command) ?? '';
      return !examples.includes('lanekeeper ') && !WITHOUT_EXAMPLES.includes(path);
    });
    expect(without.map(({ path }) => path)).toEqual([]);
  });

  test('shows of every command an example of that very command, or of one below it', () => {
    const strange = commands.filter(({ path, command }) => {
      if (WITHOUT_EXAMPLES.includes(path)) return false;
      const shown = linesOf(examplesOf(command) ?? '').map(find);
      return !shown.some((each) => each === command || each.parent === command);
    });
    expect(strange.map(({ path }) => path)).toEqual([]);
  });

  test('names in its examples no option that the command does not have', () => {
    const wrong: string[] = [];
    for (const { command } of commands)
      for (const words of linesOf(examplesOf(command) ?? '')) {
        const target = find(words);
        const own = words.slice(0, words.includes('--') ? words.indexOf('--') : undefined);
        // The verb of a noun may be left out where it has a usual one.
        const parents = [target, ...target.commands, target.parent, program].filter((each) => each !== null);
        const known = parents.flatMap((each) => each.options).flatMap(({ long, short }) => [long, short]);
        for (const word of own)
          if (/^--?[a-z]/.test(word) && !known.includes(word.split('=', 1)[0]))
            wrong.push(`${word} in: lanekeeper ${words.join(' ')}`);
      }
    expect(wrong).toEqual([]);
  });

  test('says of every command and of every option what it is for', () => {
    const silent = commands.filter(
      ({ command }) =>
        command.description() === '' || command.options.some(({ description }) => description === ''),
    );
    expect(silent.map(({ path }) => path)).toEqual([]);
  });
});

describe('a mistake', () => {
  const { run } = useScriptedApi();
  const mistakes = [
    ['tsk', 'Did you mean task?'],
    ['task gt', 'Did you mean get?'],
    ['task get t --wach', 'Did you mean --watch?'],
    ['task list --order newest', 'Allowed choices are'],
    ['task get', "missing required argument 'id'"],
    ['lanes list --watch --page-token x', 'cannot be used with'],
    ['whoami --token a --token-file b', 'not both'],
  ] as const;
  for (const [line, said] of mistakes)
    test(`${line}: ${said}`, async () => {
      const end = await run(line.split(' '));
      expect(end).toMatchObject({ code: 2, stdout: '', stderr: expect.stringContaining(said) });
    });
});
