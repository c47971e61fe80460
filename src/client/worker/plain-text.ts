/** Text that the API takes, of whatever a worker was given. */

/** Escape sequences of terminals: colours, cursor moves, titles (ECMA-48: CSI … letter, OSC … BEL or ST). */
// biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what it looks for.
const TERMINAL_SEQUENCES = /\u001b(?:\[[0-?]*[ -/]*[@-~]|\][^\u0007\u001b]*(?:\u0007|\u001b\\)|[@-Z\\^_])/g;

/** Without NUL and without the sequences that steer a terminal. */
export function cleanText(text: string): string {
  return text.replace(TERMINAL_SEQUENCES, '').replaceAll('\u0000', '\ufffd');
}

/** Colours and weights of text (ECMA-48: SGR), which steer nothing. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what it looks for.
const COLOUR = /^\u001b\[[\d;:]*m$/;

/** The same for a line of output, which keeps its colours. */
export function outputText(line: string): string {
  const steered = line.replace(TERMINAL_SEQUENCES, (sequence) => (COLOUR.test(sequence) ? sequence : ''));
  return steered.replaceAll('\u0000', '\ufffd');
}

/** The last `charactersMax` UTF-16 units, never half of a pair: the API refuses lone surrogates. */
export function lastCharacters(text: string, charactersMax: number): string {
  if (text.length <= charactersMax) return text;
  const cut = text.slice(-charactersMax);
  return /^[\udc00-\udfff]/.test(cut) ? cut.slice(1) : cut;
}

/** The first `charactersMax` UTF-16 units, never half of a pair. */
export function firstCharacters(text: string, charactersMax: number): string {
  if (text.length <= charactersMax) return text;
  const cut = text.slice(0, charactersMax);
  return /[\ud800-\udbff]$/.test(cut) ? cut.slice(0, -1) : cut;
}

export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
