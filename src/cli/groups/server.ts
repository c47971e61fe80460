/** The server's own commands; bin/lanekeeper.js hands them over before this program runs, so here they are only described. */

import type { Command } from 'commander';
import { UsageError } from '../exit-codes.ts';
import { withExamples } from '../options.ts';
import type { Register } from '../register.ts';

interface Description {
  readonly examples: string;
  readonly describe?: (command: Command) => void;
}

const DESCRIPTIONS: Readonly<Record<string, Description>> = {
  serve: {
    examples: `  lanekeeper serve
  PORT=8080 DATABASE_URL=postgres://localhost/lanes lanekeeper serve`,
  },
  migrate: {
    examples: `  DATABASE_URL=postgres://localhost/lanes lanekeeper migrate
  lanekeeper migrate --dry-run     what it would apply, and whom it would keep waiting
  lanekeeper migrate --show-sql    the same as SQL, to be read or to be run by somebody else`,
    describe: (command) =>
      command
        .option('--dry-run', 'say what it would apply, and whom it would keep waiting; change nothing')
        .option('--show-sql', 'print that as SQL; change nothing'),
  },
  backup: {
    examples: `  lanekeeper backup lanes.backup
  lanekeeper backup lanes.backup --force --json`,
    describe: (command) =>
      command
        .argument('<file>', 'where to; it must not be there')
        .option('--force', 'replace the file that is there, when the new one is complete')
        .option('--fast', 'as fast as it goes, at the cost of a server on the same machine'),
  },
  restore: {
    examples: `  lanekeeper restore lanes.backup --check
  LANEKEEPER_DATA_DIR=./new lanekeeper restore lanes.backup
  lanekeeper restore lanes.backup --replace
  lanekeeper restore --undo
  lanekeeper restore --drop-former`,
    describe: (command) =>
      command
        .argument('[file]', 'a backup; no server may run on the database')
        .option('--check', 'read all of it and say whether it is whole; change nothing')
        .option('--replace', 'put it in the place of a database that has boards; that one is kept aside')
        .option('--undo', 'go back to the database from before the last restore')
        .option('--drop-former', 'delete the database from before the last restore'),
  },
  restored: {
    examples: '  DATABASE_URL=postgres://localhost/lanes_restored lanekeeper restored',
  },
};

export const registerServerCommand: Register = (command) => {
  const { examples, describe } = DESCRIPTIONS[command.name()] ?? { examples: '' };
  withExamples(command, examples);
  describe?.(command);
  command.allowUnknownOption().allowExcessArguments();
  command.action(() => {
    throw new UsageError(`"${command.name()}" must be the first word: lanekeeper ${command.name()}`);
  });
};
