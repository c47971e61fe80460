/** The words behind a command: options that are there or not, and names. */
import { parseArgs } from 'node:util';
import { UsageError } from './command.ts';

/** @throws UsageError for an option that is not among them */
export function readWords<Name extends string>(
  words: readonly string[],
  options: readonly Name[],
): { readonly given: ReadonlySet<Name>; readonly names: readonly string[] } {
  try {
    const { values, positionals } = parseArgs({
      args: [...words],
      options: Object.fromEntries(options.map((option) => [option, { type: 'boolean' }] as const)),
      allowPositionals: true,
    });
    return { given: new Set(options.filter((option) => values[option] === true)), names: positionals };
  } catch (error) {
    throw new UsageError(error instanceof Error ? error.message : String(error));
  }
}
