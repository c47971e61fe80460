/** How a lane of kind spawn wants its processes: read from the lane's row, and made concrete for one claim. Pure. */
import { isObject } from '../../client/errors.ts';
import type { Claim } from '../../contract/claims.ts';
import type { Lane } from '../../contract/lanes.ts';
import type { Environment } from '../environment.ts';
import type { Argv } from '../worker/running-process.ts';

export interface SpawnSettings {
  readonly argv: Argv;
  /** null: where the dispatcher runs. */
  readonly cwd: string | null;
  readonly env: Readonly<Record<string, string>>;
  readonly concurrency: number;
  readonly timeoutSeconds: number | null;
}

/** Why a dispatcher leaves a lane alone. Only `broken` is for somebody to mend. */
export interface Refusal {
  readonly isBroken: boolean;
  readonly reason: string;
}

export type Served = { readonly settings: SpawnSettings } | { readonly refusal: Refusal };

const PLACEHOLDER = /\{(lane|task|run|board)\}/g;
/** A variable of the dispatcher's, passed on under this name. */
const REFERENCE = /^\$\{([A-Za-z_][A-Za-z0-9_]*)\}$/;

/** What a process needs to find programs, its home and its language: nothing that opens a door. */
const BASE_VARIABLES = [
  'PATH',
  'HOME',
  'USER',
  'LOGNAME',
  'SHELL',
  'LANG',
  'LANGUAGE',
  'LC_ALL',
  'LC_CTYPE',
  'TZ',
  'TMPDIR',
];

export function servedOf(lane: Lane): Served {
  if (lane.kind !== 'spawn') return refuse(`it is of kind ${lane.kind}, which is never spawned`, false);
  if (lane.allowed_status_mutations === 'none')
    return refuse('it may not claim (allowed_status_mutations none)');
  if (lane.spawn === null) {
    return refuse(
      `it does not say what to spawn. Next: lanekeeper lane set ${lane.name} --spawn '{"argv": ["CMD"]}'`,
    );
  }
  const settings = settingsOf(lane.spawn);
  return settings === null ? refuse('its spawn settings make no sense') : { settings };
}

function refuse(reason: string, isBroken = true): Served {
  return { refusal: { isBroken, reason } };
}

function settingsOf(spawn: Readonly<Record<string, unknown>>): SpawnSettings | null {
  const { argv, cwd, env, concurrency, timeout_seconds } = spawn;
  const [command, ...rest] = Array.isArray(argv) ? argv.map(String) : [];
  if (command === undefined || command === '') return null;
  const variables = isObject(env) ? Object.entries(env) : [];
  return {
    argv: [command, ...rest],
    cwd: typeof cwd === 'string' ? cwd : null,
    env: Object.fromEntries(variables.map(([name, value]) => [name, String(value)])),
    concurrency: typeof concurrency === 'number' ? concurrency : 1,
    timeoutSeconds: typeof timeout_seconds === 'number' ? timeout_seconds : null,
  };
}

/** {lane}, {task}, {run} and {board} in each argument and in cwd; other braces stay as they are. */
export function filled(text: string, claim: Claim): string {
  const values: Readonly<Record<string, string>> = {
    lane: claim.lane,
    task: claim.task.id,
    run: claim.run_id,
    board: claim.task.board,
  };
  return text.replace(PLACEHOLDER, (whole, name: string) => values[name] ?? whole);
}

/**
 * Little of the dispatcher's environment, what its operator lets through (NAME, or PREFIX*), and what the lane sets:
 * a value, or a variable of the dispatcher's as "${NAME}". The names that speak for the dispatcher go nowhere.
 */
export function environmentFor(
  settings: SpawnSettings,
  own: Environment,
  passed: readonly string[],
): Record<string, string> {
  const open = Object.entries(own).filter(([name]) => !name.startsWith('LANEKEEPER_'));
  const variables: Record<string, string> = {};
  for (const [name, value] of open) {
    const isPassed = [...BASE_VARIABLES, ...passed].some((pattern) =>
      pattern.endsWith('*') ? name.startsWith(pattern.slice(0, -1)) : name === pattern,
    );
    if (value !== undefined && isPassed) variables[name] = value;
  }
  const byName = new Map(open);
  for (const [name, value] of Object.entries(settings.env)) {
    const reference = REFERENCE.exec(value)?.[1];
    const text = reference === undefined ? value : byName.get(reference);
    if (text !== undefined && !name.startsWith('LANEKEEPER_')) variables[name] = text;
  }
  return variables;
}
