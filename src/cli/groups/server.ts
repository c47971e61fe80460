/** serve and migrate are the server's own commands; bin/lanekeeper.js hands them over before this program runs. */

import { UsageError } from '../exit-codes.ts';
import { withExamples } from '../options.ts';
import type { Register } from '../register.ts';

export const registerServerCommand: Register = (command) => {
  const examples = {
    serve: `  lanekeeper serve
  PORT=8080 DATABASE_URL=postgres://localhost/lanes lanekeeper serve`,
    migrate: '  DATABASE_URL=postgres://localhost/lanes lanekeeper migrate',
  };
  withExamples(command, command.name() === 'serve' ? examples.serve : examples.migrate);
  command.allowUnknownOption().allowExcessArguments();
  command.action(() => {
    throw new UsageError(`"${command.name()}" must be the first word: lanekeeper ${command.name()}`);
  });
};
