/**
 * The commands as the completion library wants them. Its own adapter for commander is not used: it knows no aliases (`tasks`), and asks for
 * all commands to be loaded, which costs what a completion may take.
 */
import type { RootCommand } from '@bomb.sh/tab';
import type { Argument, Command, Option } from 'commander';
import type { Value, ValueKind } from './live-values.ts';

/** By the names that arguments have in the help, below their noun. */
const ARGUMENTS: Readonly<Record<string, Readonly<Record<string, ValueKind>>>> = {
  task: { id: 'task', ids: 'task', child: 'task', parent: 'task', lane: 'lane' },
  lane: { name: 'lane' },
  board: { name: 'board' },
  work: { lane: 'lane' },
  delegation: { delegation: 'delegation' },
};
/** The short forms of the verbs of delegations. */
const DELEGATION_VERBS = ['check', 'collect', 'steer', 'cancel'];
const OPTIONS: Readonly<Record<string, ValueKind>> = {
  '--lane': 'lane',
  '--to-lane': 'lane',
  '--reviewer': 'lane',
  '--board': 'board',
  '--parent': 'task',
  '--task': 'task',
  '--delegation': 'delegation',
};

type Values = ReadonlyMap<ValueKind, readonly Value[]>;
type Complete = (value: string, description: string) => void;

function kindOfArgument(noun: string, argument: Argument): ValueKind | undefined {
  const table = ARGUMENTS[DELEGATION_VERBS.includes(noun) ? 'delegation' : noun];
  return table?.[argument.name()];
}

function kindOfOption(option: Option): ValueKind | undefined {
  return option.long == null ? undefined : OPTIONS[option.long];
}

/** What the server would have to be asked for, for what has been typed: `words` are complete, `last` is not. */
export function wantedKinds(program: Command, words: readonly string[], last: string): Set<ValueKind> {
  const { noun, command } = find(program, words);
  const previous = words.at(-1) ?? '';
  const [typed = ''] = last.split('=', 1);
  const option = [...command.options, ...program.options].find(
    ({ long, short }) => long === typed || long === previous || short === previous,
  );
  const takesValue = option !== undefined && (option.required || option.optional);
  const kinds = takesValue
    ? [kindOfOption(option)]
    : command.registeredArguments.map((argument) => kindOfArgument(noun, argument));
  const isFlag = last.startsWith('-') && !takesValue;
  return new Set(isFlag ? [] : kinds.filter((kind) => kind !== undefined));
}

/** The command that the words name, as far as they do. */
function find(program: Command, words: readonly string[]): { noun: string; command: Command } {
  let command = program;
  let noun = '';
  for (const word of words) {
    const next = command.commands.find((each) => each.name() === word || each.aliases().includes(word));
    if (next === undefined) continue;
    if (command === program) noun = next.name();
    command = next;
  }
  return { noun, command };
}

/** Adds all that is loaded to the library's root. `typed`: words of which some may be aliases. */
export function fillTree(
  root: RootCommand,
  program: Command,
  typed: readonly string[],
  values: Values,
): void {
  const globals = program.options;
  addOptions(root, globals, values);
  for (const noun of program.createHelp().visibleCommands(program)) {
    for (const name of namesOf(noun, typed)) {
      addCommand(root, { path: name, noun: noun.name(), command: noun, globals, values });
      for (const verb of noun.commands)
        for (const verbName of namesOf(verb, typed))
          addCommand(root, {
            path: `${name} ${verbName}`,
            noun: noun.name(),
            command: verb,
            globals,
            values,
          });
    }
  }
}

/** An alias is understood, and not offered: a list that says everything twice is no help. */
function namesOf(command: Command, typed: readonly string[]): string[] {
  return [command.name(), ...command.aliases().filter((alias) => typed.includes(alias))];
}

interface Addition {
  readonly path: string;
  readonly noun: string;
  readonly command: Command;
  readonly globals: readonly Option[];
  readonly values: Values;
}

function addCommand(root: RootCommand, { path, noun, command, globals, values }: Addition): void {
  const added = root.command(path, command.summary() || command.description());
  addOptions(added, [...command.options, ...globals], values);
  for (const argument of command.registeredArguments) {
    const kind = kindOfArgument(noun, argument);
    const handler = offer([...(argument.argChoices ?? []).map(plain), ...valuesOf(kind, values)]);
    added.argument(argument.name(), handler, argument.variadic);
  }
}

function addOptions(target: Pick<RootCommand, 'option'>, options: readonly Option[], values: Values): void {
  for (const option of options) {
    const { long, short, description } = option;
    if (long == null || option.hidden) continue;
    const name = long.slice(2);
    const alias = short?.slice(1);
    // Without a handler the library takes an option for a switch.
    if (!option.required && !option.optional) target.option(name, description, alias ?? '');
    else {
      const choices = (option.argChoices ?? []).map(plain);
      target.option(name, description, offer([...choices, ...valuesOf(kindOfOption(option), values)]), alias);
    }
  }
}

const plain = (value: string): Value => ({ value, description: '' });

function valuesOf(kind: ValueKind | undefined, values: Values): readonly Value[] {
  return kind === undefined ? [] : (values.get(kind) ?? []);
}

/** One line each, whatever a title holds: the shells read lines, with a tab before the description. */
function offer(values: readonly Value[]): (complete: Complete) => void {
  return (complete) => {
    for (const { value, description } of values) complete(value, description.replace(/\s+/g, ' ').trim());
  };
}
