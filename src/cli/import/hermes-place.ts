/** Where a Hermes board lies, and what lies beside it: its name, what people call it, and the profiles of the installation. */
import { readdir, readFile, stat } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { cutText, wordOf } from './cell.ts';

/** As the wire has them (contract/boards.ts). */
const TITLE_CHARACTERS_MAX = 200;
const DESCRIPTION_CHARACTERS_MAX = 4000;
/** A few hundred bytes; what is much larger is something else of that name. */
const BOARD_FILE_BYTES_MAX = 1024 * 1024;
/** The installation itself is a profile too, and has no directory among the others. */
const DEFAULT_PROFILE = 'default';

export interface BoardFacts {
  /** Null: the file lies in no directory of a named board. */
  readonly name: string | null;
  readonly title: string | null;
  readonly description: string | null;
}

/** What the path and `board.json` say; nothing that is missing or broken there stops an import. */
export async function findBoardFacts(databasePath: string): Promise<BoardFacts> {
  const directory = dirname(databasePath);
  const said = await readBoardFile(join(directory, 'board.json'));
  return {
    name: isOfNamedBoard(directory) ? basename(directory) : null,
    title: textWithin(said['name'], TITLE_CHARACTERS_MAX),
    description: textWithin(said['description'], DESCRIPTION_CHARACTERS_MAX),
  };
}

function textWithin(value: unknown, charactersMax: number): string | null {
  const word = typeof value === 'string' ? wordOf(value) : null;
  return word === null ? null : cutText(word, BOARD_FILE_BYTES_MAX, charactersMax).text;
}

async function readBoardFile(path: string): Promise<Readonly<Record<string, unknown>>> {
  try {
    if ((await stat(path)).size > BOARD_FILE_BYTES_MAX) return {};
    const value: unknown = JSON.parse(await readFile(path, 'utf8'));
    return typeof value === 'object' && value !== null ? (value as Readonly<Record<string, unknown>>) : {};
  } catch {
    return {};
  }
}

/** Profiles of the installation that the board belongs to: those Hermes would have started a process for. */
export async function findProfiles(databasePath: string): Promise<ReadonlySet<string>> {
  const directory = dirname(databasePath);
  const root = isOfNamedBoard(directory) ? dirname(dirname(dirname(directory))) : directory;
  try {
    const entries = await readdir(join(root, 'profiles'), { withFileTypes: true });
    const profiles = entries.filter((entry) => entry.isDirectory() || entry.isSymbolicLink());
    return new Set([DEFAULT_PROFILE, ...profiles.map(({ name }) => name)]);
  } catch {
    return new Set([DEFAULT_PROFILE]); // A board that was copied away from its installation, or has no other profile.
  }
}

/** `<root>/kanban/boards/<name>`, and not the root itself. */
function isOfNamedBoard(directory: string): boolean {
  const boards = dirname(directory);
  return basename(boards) === 'boards' && basename(dirname(boards)) === 'kanban';
}
