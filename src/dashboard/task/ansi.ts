/**
 * What a worker prints, as pieces of text with names of colours: never markup. Of colours only the family is kept, because the exact ones were
 * chosen for somebody else's background; the page has one of each family that can be read in both themes. Each line stands for itself.
 */
import Anser from 'anser';

export const ANSI_COLOURS = ['black', 'red', 'green', 'yellow', 'blue', 'magenta', 'cyan', 'white'] as const;
export type AnsiColour = (typeof ANSI_COLOURS)[number];

export interface AnsiPiece {
  readonly text: string;
  /** Names of classes; empty: plain text. */
  readonly className: string;
}

const ESCAPE = String.fromCharCode(27);
const BELL = String.fromCharCode(7);
/** Titles and links of terminals: ESC ] … BEL, or ESC ] … ESC \ */
const OPERATING_SYSTEM_COMMAND = new RegExp(`${ESCAPE}\\][^${BELL}${ESCAPE}]*(?:${BELL}|${ESCAPE}\\\\)`, 'g');
/** Whatever moves the cursor or clears: all control sequences but those for colours, which end with an m. */
const MOVEMENT = new RegExp(`${ESCAPE}\\[[0-9;?]*[@-ln-~]`, 'g');
const COLOURING = new RegExp(`${ESCAPE}\\[[0-9;:]*m`, 'g');
/** What is left of a sequence that was cut at the end of a line, and other control characters but the tab. */
const REST = new RegExp(
  `${ESCAPE}\\[?[0-9;:?]*$|[\\u0000-\\u0008\\u000b-\\u001a\\u001c-\\u001f\\u007f]`,
  'g',
);

/** A progress bar writes over itself: what it wrote last is what one would see. */
function lastWritten(line: string): string {
  const end = line.replace(/\r+$/, '');
  return end.slice(end.lastIndexOf('\r') + 1);
}

function withoutMovement(line: string): string {
  return lastWritten(line).replace(OPERATING_SYSTEM_COMMAND, '').replace(MOVEMENT, '').replace(REST, '');
}

/** As one would copy it. */
export function plainText(line: string): string {
  return withoutMovement(line).replace(COLOURING, '').replaceAll(ESCAPE, '');
}

const DECORATIONS: Readonly<Record<string, string>> = {
  bold: 'ansi-bold',
  dim: 'ansi-dim',
  hidden: 'ansi-dim',
  italic: 'ansi-italic',
  underline: 'ansi-underline',
  strikethrough: 'ansi-strikethrough',
};

export function ansiPieces(line: string): readonly AnsiPiece[] {
  const text = withoutMovement(line);
  if (!text.includes(ESCAPE)) return text === '' ? [] : [{ text, className: '' }];
  return Anser.ansiToJson(text, { json: true, remove_empty: true, use_classes: true }).map((entry) => {
    const foreground = colourOf(entry.fg, entry.fg_truecolor);
    const background = colourOf(entry.bg, entry.bg_truecolor);
    const names = [
      ...(foreground === null ? [] : [`ansi-${foreground}`]),
      ...(background === null ? [] : [`ansi-on-${background}`]),
      ...entry.decorations.map((decoration) => DECORATIONS[decoration] ?? ''),
    ];
    return {
      text: entry.content.replaceAll(ESCAPE, ''),
      className: names.filter((name) => name !== '').join(' '),
    };
  });
}

function colourOf(name: string | null, trueColour: string | null): AnsiColour | null {
  if (name === null || name === '') return null;
  if (name === 'ansi-truecolor') {
    const [red = 0, green = 0, blue = 0] = (trueColour ?? '').split(',').map(Number);
    return familyOf(red, green, blue);
  }
  const palette = /^ansi-palette-(\d+)$/.exec(name)?.[1];
  if (palette !== undefined) return paletteColour(Number(palette));
  return ANSI_COLOURS.find((colour) => name.endsWith(colour)) ?? null;
}

/** xterm: 16 named ones, a cube of 6 × 6 × 6, and 24 greys. */
function paletteColour(index: number): AnsiColour {
  if (index < 16) return ANSI_COLOURS[index % 8] ?? 'white';
  if (index >= 232) return index >= 244 ? 'white' : 'black';
  const level = (step: number): number => (step === 0 ? 0 : 55 + 40 * step);
  const cube = index - 16;
  return familyOf(level(Math.floor(cube / 36)), level(Math.floor(cube / 6) % 6), level(cube % 6));
}

/** Degrees of the hue at which a family ends; red is on both sides of 0. */
const HUES: readonly (readonly [number, AnsiColour])[] = [
  [20, 'red'],
  [70, 'yellow'],
  [165, 'green'],
  [200, 'cyan'],
  [255, 'blue'],
  [340, 'magenta'],
  [360, 'red'],
];
/** Of 255: less between the strongest and the weakest part is grey to the eye. */
const GREY_SPREAD = 40;

function familyOf(red: number, green: number, blue: number): AnsiColour {
  const most = Math.max(red, green, blue);
  const spread = most - Math.min(red, green, blue);
  if (spread < GREY_SPREAD) return most > 127 ? 'white' : 'black';
  const hue = hueOf({ red, green, blue, most, spread });
  return HUES.find(([end]) => hue <= end)?.[1] ?? 'red';
}

interface Mixed {
  readonly red: number;
  readonly green: number;
  readonly blue: number;
  readonly most: number;
  readonly spread: number;
}

function hueOf({ red, green, blue, most, spread }: Mixed): number {
  if (most === red) return (((green - blue) / spread) * 60 + 360) % 360;
  if (most === green) return ((blue - red) / spread) * 60 + 120;
  return ((red - green) / spread) * 60 + 240;
}
