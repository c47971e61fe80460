/** What the file of a command group offers to the program. */
import type { Command } from 'commander';
import type { Context } from './context.ts';

/** Adds arguments, options, subcommands and actions; the context exists once an action runs. */
export type Register = (command: Command, contextOf: () => Context) => void;
