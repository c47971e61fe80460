/** What every command of the server's program is. */

export interface Command {
  /** One line: the command with its options. */
  readonly usage: string;
  /**
   * Does it.
   * @param words what stands behind the command's name
   * @throws UsageError for words that it does not know
   */
  run(words: readonly string[]): Promise<void>;
}

/** A signal has ended it before it was done. */
export class Interrupted extends Error {
  override readonly name = 'Interrupted';
}

/** The words of a command are wrong: its usage is shown, and nothing was done. */
export class UsageError extends Error {
  override readonly name = 'UsageError';
}
