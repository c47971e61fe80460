/**
 * Bugs that are put into a server on purpose, to see that the checkers find them. They are patches of a copy of the build, or of the
 * database, and never a switch in the product. A patch that does not match exactly once stops the run: the bug would not be in.
 */
import { cpSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { completeWithoutAttempt } from './complete-without-attempt.ts';
import { crowdedSession } from './crowded-session.ts';
import { lostWake } from './lost-wake.ts';
import { ownClock } from './own-clock.ts';
import { sequence } from './sequence.ts';
import { silentGap } from './silent-gap.ts';
import { unlockedJoin } from './unlocked-join.ts';

export interface TextPatch {
  readonly find: string;
  readonly replace: string;
}

export interface Plant {
  readonly name: string;
  /** Properties of which at least one must be named. */
  readonly properties: readonly number[];
  readonly patches: readonly TextPatch[];
  /** Run once the schema and the board are there. */
  readonly sql: string | null;
}

export const PLANT_NAMES = [
  'complete-without-attempt',
  'sequence',
  'lost-wake',
  'unlocked-join',
  'crowded-session',
  'own-clock',
  'silent-gap',
] as const;
export type PlantName = (typeof PLANT_NAMES)[number];

export const PLANTS: Readonly<Record<PlantName, Plant>> = {
  'complete-without-attempt': completeWithoutAttempt,
  sequence,
  'lost-wake': lostWake,
  'unlocked-join': unlockedJoin,
  'crowded-session': crowdedSession,
  'own-clock': ownClock,
  'silent-gap': silentGap,
};

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
/** Inside the package, where the server finds its dependencies, its schema and its version. */
const PLACE = join(ROOT, 'node_modules', '.cache', 'lanekeeper-chaos');

export interface ServerBuild {
  /** What Node is to run. */
  readonly program: string;
  remove(): void;
}

/** The build as it is, or a copy with a bug. */
export function prepareServer(plant: Plant | null): ServerBuild {
  const dist = join(ROOT, 'dist');
  if (plant === null || plant.patches.length === 0)
    return { program: join(dist, 'server', 'main.js'), remove: () => undefined };
  const copy = join(PLACE, `${plant.name}-${process.pid}`);
  mkdirSync(copy, { recursive: true });
  for (const part of ['server', 'chunks']) cpSync(join(dist, part), join(copy, part), { recursive: true });
  const program = join(copy, 'server', 'main.js');
  const remove = (): void => rmSync(copy, { recursive: true, force: true });
  try {
    for (const patch of plant.patches) applyPatch(program, patch);
  } catch (error) {
    remove();
    throw error;
  }
  return { program, remove };
}

/** What names another file of the build. */
const IMPORTED = /(?:from|import)\s*\(?\s*["'](\.[^"']+\.js)["']/g;

/** All that is loaded from there on: older builds leave files behind that nothing loads any more. */
function listLoaded(program: string): ReadonlySet<string> {
  const loaded = new Set([program]);
  for (const file of loaded) {
    for (const [, name = ''] of readFileSync(file, 'utf8').matchAll(IMPORTED)) {
      const other = join(dirname(file), name);
      if (existsSync(other)) loaded.add(other);
    }
  }
  return loaded;
}

function applyPatch(program: string, { find, replace }: TextPatch): void {
  const found = [...listLoaded(program)].flatMap((file) => {
    const pieces = readFileSync(file, 'utf8').split(find);
    return pieces.length > 1 ? [{ file, pieces }] : [];
  });
  const [only] = found;
  if (found.length !== 1 || only === undefined || only.pieces.length !== 2)
    throw new Error(`the text to patch is there ${found.length} times instead of once: ${find}`);
  writeFileSync(only.file, only.pieces.join(replace));
}
