/** Assignees as lanes. Hermes has names alone; what starts a process for each task here is the lane's kind, so that is never guessed. */
import type { LaneKind } from '../../contract/lanes.ts';
import { type Cell, wordOf } from './cell.ts';
import type { Findings } from './findings.ts';

/** As the wire has it (contract/identifiers.ts). */
const NAME = /^[a-z0-9][a-z0-9._-]{0,63}$/;
const NAME_CHARACTERS_MAX = 64;

/** Assignees are told apart as Hermes does it: in lower case. */
export class HermesLanes {
  readonly #findings: Findings;
  readonly #names = new Map<string, string | null>();
  /** Which assignee a lane is of. */
  readonly #owners = new Map<string, string>();

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
    this.#names.set(word, name);
    this.#tell(word, name);
    return name;
  }

  #tell(word: string, name: string | null): void {
    if (name === null) {
      this.#findings.add('lane_unusable', word);
      return;
    }
    const lower = word.toLowerCase();
    const owner = this.#owners.get(name) ?? lower;
    this.#owners.set(name, owner);
    if (name !== word) this.#findings.add('lane_renamed', `${word} → ${name}`);
    if (owner !== lower) this.#findings.add('lane_shared', `${owner}, ${lower} → ${name}`);
  }
}

/** Letters lose their marks, whatever else a name of a lane cannot have becomes a hyphen; null: nothing is left. */
function laneNameOf(word: string): string | null {
  const lower = word.toLowerCase();
  if (NAME.test(lower)) return lower;
  const name = lower
    .normalize('NFKD')
    .replaceAll(/\p{Mark}+/gu, '')
    .replaceAll(/[^a-z0-9._-]+/g, '-')
    .replace(/^[^a-z0-9]+/, '')
    .slice(0, NAME_CHARACTERS_MAX)
    .replace(/-+$/, '');
  return NAME.test(name) ? name : null;
}

/** By lane: profiles are named as assignees are. */
export function lanesOfProfiles(profiles: Iterable<string>): ReadonlySet<string> {
  return new Set([...profiles].map((profile) => laneNameOf(profile.trim())).filter((name) => name !== null));
}

export function kindOf(lane: string, spawned: ReadonlySet<string>): LaneKind {
  return spawned.has(lane) ? 'spawn' : 'persistent';
}
