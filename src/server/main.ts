/** The server's program: finds the command, and says by its exit code what became of it. A command's code is loaded when it is called. */
import { type Command, Interrupted, UsageError } from './commands/command.ts';
import { complain, EXIT, say } from './commands/terminal.ts';
import { ConfigError } from './config.ts';

/** `bin/lanekeeper.js` has the same names. */
const COMMANDS: Readonly<Record<string, () => Promise<Command>>> = {
  serve: async () => (await import('./commands/serve.ts')).command,
  migrate: async () => (await import('./commands/migrate.ts')).command,
  backup: async () => (await import('./commands/backup.ts')).command,
  restore: async () => (await import('./commands/restore.ts')).command,
  restored: async () => (await import('./commands/restored.ts')).command,
};

const USAGE = `usage: lanekeeper ${Object.keys(COMMANDS).join(' | lanekeeper ')}   (settings come from the environment: see .env.example)`;

async function main(name: string | undefined, words: readonly string[]): Promise<number> {
  const load = name !== undefined && Object.hasOwn(COMMANDS, name) ? COMMANDS[name] : undefined;
  if (load === undefined) {
    const isHelp = name === '--help' || name === '-h';
    (isHelp ? say : complain)(USAGE);
    return isHelp ? EXIT.ok : EXIT.usage;
  }
  const command = await load();
  if (words.includes('--help') || words.includes('-h')) {
    say(`usage: ${command.usage}   (settings come from the environment: see .env.example)`);
    return EXIT.ok;
  }
  try {
    await command.run(words);
    return EXIT.ok;
  } catch (error) {
    complain(error instanceof Error ? error.message : String(error));
    if (error instanceof UsageError) complain(`usage: ${command.usage}`);
    if (error instanceof Interrupted) return EXIT.interrupted;
    return error instanceof ConfigError || error instanceof UsageError ? EXIT.usage : EXIT.error;
  }
}

// A rejection that nobody handles is a bug, but it must not take down the lanes of everyone else.
process.on('unhandledRejection', (error) =>
  complain(`unhandled rejection: ${error instanceof Error ? error.stack : String(error)}`),
);
// Exits by itself once everything is closed; a timer that was forgotten would show here as a hang, so end it.
process.exit(await main(process.argv[2], process.argv.slice(3)));
