/**
 * Where the program writes: data to stdout, messages to stderr. Colours only for a terminal that wants them. What
 * other people wrote (titles, summaries) is shown without control characters, so that it cannot steer a terminal.
 */
import type { Writable } from 'node:stream';

export interface OutputOptions {
  readonly stdout: Writable & { readonly isTTY?: boolean; readonly columns?: number };
  readonly stderr: Writable & { readonly isTTY?: boolean };
  readonly isJson: boolean;
  readonly isQuiet: boolean;
  readonly hasColours: boolean;
}

/** SGR parameters (ECMA-48). */
const STYLES = { bold: 1, dim: 2, red: 31, green: 32, yellow: 33, blue: 34, magenta: 35, cyan: 36 } as const;
export type Style = keyof typeof STYLES;

/** Sequences that colour text (ECMA-48: SGR) and do nothing else. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what it looks for.
const COLOURS = /(\u001b\[[\d;:]*m)/;
const RESET = '\u001b[0m';

export class Output {
  readonly stdout: OutputOptions['stdout'];
  readonly stderr: OutputOptions['stderr'];
  readonly isJson: boolean;
  readonly isQuiet: boolean;
  readonly #hasColours: boolean;

  constructor(options: OutputOptions) {
    this.stdout = options.stdout;
    this.stderr = options.stderr;
    this.isJson = options.isJson;
    this.isQuiet = options.isQuiet;
    this.#hasColours = options.hasColours;
  }

  /** Data, as text for people. */
  line(text = ''): void {
    this.stdout.write(`${text}\n`);
  }

  /** A line that something printed: with its colours where there are any at all, and without what else steers a terminal. */
  printed(line: string): void {
    const parts = line.split(COLOURS);
    const shown = parts.map((part, at) => (at % 2 === 0 ? printableLine(part) : this.#colour(part))).join('');
    this.line(parts.length > 1 ? shown + this.#colour(RESET) : shown);
  }

  #colour(sequence: string): string {
    return this.#hasColours ? sequence : '';
  }

  /** Data, as the API gave it. */
  json(value: unknown): void {
    this.stdout.write(`${JSON.stringify(value, null, 2)}\n`);
  }

  /** One record of a stream. */
  jsonLine(value: unknown): void {
    this.stdout.write(`${JSON.stringify(value)}\n`);
  }

  /** A message that --quiet drops. */
  note(text: string): void {
    if (!this.isQuiet) this.stderr.write(`${text}\n`);
  }

  /** A message that always comes. */
  warn(text: string): void {
    this.stderr.write(`${text}\n`);
  }

  style(style: Style, text: string): string {
    return this.#hasColours ? `\u001b[${STYLES[style]}m${text}\u001b[0m` : text;
  }
}

/** What may lie unread in our own buffer: as much as one answer of the server. */
export const UNREAD_BYTES_MAX = 1024 * 1024;

/** A slow reader slows a stream of records down, whose queue is bounded, instead of filling our memory. */
export async function drained({ stdout }: Output): Promise<void> {
  if (stdout.writableLength < UNREAD_BYTES_MAX) return;
  await new Promise((resolve) => stdout.once('drain', resolve));
}

/** Control characters, line ends included, as visible symbols (Unicode "Control Pictures"). */
export function printable(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what it looks for.
  return text.replace(/[\u0000-\u001f\u007f-\u009f]/g, (character) => {
    const code = character.charCodeAt(0);
    if (code < 0x20) return String.fromCharCode(0x2400 + code);
    return code === 0x7f ? '\u2421' : '\ufffd';
  });
}

/** The same for a line that something printed: tabs stay. */
function printableLine(line: string): string {
  return line.split('\t').map(printable).join('\t');
}

/** The same for texts of several lines: line ends and tabs stay. */
export function printableLines(text: string): string {
  return text.split(/\r?\n/).map(printableLine).join('\n');
}
