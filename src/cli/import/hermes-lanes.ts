/** Assignees as lanes. Hermes has names alone; what starts a process for each task here is the lane's kind, so that is never guessed. */
import { readdir } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import type { LaneKind } from '../../contract/lanes.ts';
import { type Cell, wordOf } from './cell.ts';
import type { Findings } from './findings.ts';

/** As the wire has it (contract/identifiers.ts). */
const NAME = /^[a-z0-9][a-z0-9._-]{0,63}$/;
const NAME_CHARACTERS_MAX = 64;

export class HermesLanes {
  readonly #findings: Findings;
  readonly #names = new Map<string, string | null>();

  constructor(findings: Findings) {
    this.#findings = findings;
  }

  /** The lane of an assignee; null: none. */
  laneOf(assignee: Cell | undefined): string | null {
    const word = wordOf(assignee);
    if (word === null) return null;
    const known = this.#names.get(word);
    if (known !== undefined) return known;
    const name = laneNameOf(word);
    // Hermes writes them in lower case itself.
    if (name !== word.toLowerCase()) this.#findings.add('lane_renamed', `${word} → ${name ?? 'no lane'}`);
    this.#names.set(word, name);
    return name;
  }
}

function laneNameOf(word: string): string | null {
  const lower = word.toLowerCase();
  if (NAME.test(lower)) return lower;
  const name = lower
    .replaceAll(/[^a-z0-9._-]+/g, '-')
    .replace(/^[^a-z0-9]+/, '')
    .slice(0, NAME_CHARACTERS_MAX);
  return NAME.test(name) ? name : null;
}

/** Profiles of the installation that the board belongs to: those Hermes would have started a process for. */
export async function findProfiles(databasePath: string): Promise<ReadonlySet<string>> {
  const root = rootOf(dirname(databasePath));
  try {
    const entries = await readdir(join(root, 'profiles'), { withFileTypes: true });
    return new Set(entries.filter((entry) => entry.isDirectory()).map(({ name }) => name.toLowerCase()));
  } catch {
    return new Set(); // A board that was copied away from its installation.
  }
}

/** `<root>/kanban.db`, or `<root>/kanban/boards/<name>/kanban.db`. */
function rootOf(directory: string): string {
  const boards = dirname(directory);
  const isNamedBoard = basename(boards) === 'boards' && basename(dirname(boards)) === 'kanban';
  return isNamedBoard ? dirname(dirname(boards)) : directory;
}

export function kindOf(lane: string, profiles: ReadonlySet<string>): LaneKind {
  return profiles.has(lane) ? 'spawn' : 'persistent';
}
