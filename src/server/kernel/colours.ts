/** Lines of output keep the colours that a worker printed; who cannot show them, a chat or a model, is given the words alone. */

/** Of text (ECMA-48: SGR); also one whose end was cut off with the line's. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what it looks for.
const COLOURS = /\u001b\[[\d;:]*m?/g;

export function withoutColours(text: string): string {
  return text.replace(COLOURS, '');
}
