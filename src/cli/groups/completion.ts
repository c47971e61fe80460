/** completion SHELL prints a script; the script asks `complete -- words…` what could come next. Neither ever says what went wrong. */
import { Argument, type Command } from 'commander';
import { fillTree, wantedKinds } from '../completion/completion-tree.ts';
import { readLiveValues } from '../completion/live-values.ts';
import { Context } from '../context.ts';
import { withExamples } from '../options.ts';
import type { Register } from '../register.ts';

const SHELLS = ['bash', 'zsh', 'fish', 'powershell'] as const;
/** Both the name of the functions in a script and the command that it runs. */
const NAME = 'lanekeeper';

/**
 * The library's script for bash sets constants, which a second time is an error, and leans on a function of the package bash-completion,
 * which macOS and small images do not have.
 */
const BEFORE_BASH = `if ! declare -F __lanekeeper_complete >/dev/null; then
if ! declare -F _get_comp_words_by_ref >/dev/null; then
_get_comp_words_by_ref() {
  cur=\${COMP_WORDS[COMP_CWORD]} prev=\${COMP_WORDS[COMP_CWORD-1]} cword=$COMP_CWORD
  words=("\${COMP_WORDS[@]}")
}
fi`;

export const registerCompletion: Register = (command, contextOf) => {
  withExamples(
    command,
    `  source <(lanekeeper completion bash)
  lanekeeper completion zsh > "\${fpath[1]}/_lanekeeper"
  lanekeeper completion fish > ~/.config/fish/completions/lanekeeper.fish
  lanekeeper completion powershell | Out-String | Invoke-Expression`,
  );
  command
    .description('Print a script that completes commands, options, names of lanes and ids of tasks.')
    .addArgument(new Argument('<shell>', 'for which shell').choices(SHELLS))
    .addHelpText(
      'after',
      '\nNames and ids are those of the server that commands go to; without one there are none.\n',
    )
    .action((shell: string) => printScript(contextOf(), shell));
};

async function printScript({ output }: Context, shell: string): Promise<void> {
  const { script } = await import('@bomb.sh/tab');
  if (shell !== 'bash') {
    script(shell, NAME, NAME);
    return;
  }
  output.line(BEFORE_BASH);
  script(shell, NAME, NAME);
  output.line('fi');
}

export const registerComplete: Register = (command, contextOf) => {
  command
    .description('What could come next, for the script of "completion".')
    .argument('[words...]', 'what has been typed; the last one is not finished')
    .allowUnknownOption()
    .action((words: string[]) => complete(contextOf(), command, words));
};

async function complete(context: Context, command: Command, words: readonly string[]): Promise<void> {
  const program = command.parent;
  if (program === null) return;
  const { RootCommand } = await import('@bomb.sh/tab');
  const done = words.slice(0, -1);
  const kinds = wantedKinds(program, done, words.at(-1) ?? '');
  const typed = new Context(context.system, { ...flagsOf(program, done), quiet: true });
  const values = await readLiveValues(kinds, () => typed.client());
  const root = new RootCommand();
  fillTree(root, program, done, values);
  root.parse([...words]);
}

/** The server and board that are meant, as far as they have been typed. A key from stdin would make the shell wait for ever. */
function flagsOf({ options }: Command, words: readonly string[]): Record<string, string> {
  const flags: Record<string, string> = {};
  words.forEach((word, index) => {
    const option = options.find(({ long, short, required }) => required && [long, short].includes(word));
    const value = words[index + 1];
    if (option !== undefined && value !== undefined && value !== '-') flags[option.attributeName()] = value;
  });
  return flags;
}
