/** serve and migrate are the server's own commands; bin/lanekeeper.js hands them over before this program runs. */

import { UsageError } from '../exit-codes.ts';
import type { Register } from '../register.ts';

export const registerServerCommand: Register = (command) => {
  command.allowUnknownOption().allowExcessArguments();
  command.action(() => {
    throw new UsageError(`"${command.name()}" must be the first word: lanekeeper ${command.name()}`);
  });
};
