/**
 * Semantic versioning as this project means it (docs/releasing.md): how far a release must step from the one before it, decided from what the
 * changelog says of it. The wire decides first, for it is what others build on.
 */
import type { Section } from './changelog.ts';

export type Step = 'major' | 'minor' | 'patch';

export interface Decision {
  readonly step: Step;
  /** The version that a release with these changes must have. */
  readonly version: string;
  /** The entry that has decided. */
  readonly because: string;
}

/** What takes something away from clients; an entry under Wire that has one of these words is about a breaking change. */
const BREAKING = /\b(?:removed?|renamed?|breaking|incompatible)\b/i;

interface Version {
  readonly major: number;
  readonly minor: number;
  readonly patch: number;
}

function parseVersion(text: string): Version {
  const [, major, minor, patch] = /^(\d+)\.(\d+)\.(\d+)$/.exec(text) ?? [];
  if (patch === undefined) throw new Error(`"${text}" is no version of the form 1.2.3`);
  return { major: Number(major), minor: Number(minor), patch: Number(patch) };
}

/**
 * Before 1.0.0 the second number stands in for the first: what breaks clients is a minor step there, as semver allows it and package managers
 * expect it of `^0.2.0`.
 */
export function decideVersion(previous: string, changes: Section['entries']): Decision {
  const { major, minor, patch } = parseVersion(previous);
  const [step, because] = decideStep(changes);
  const isSettled = major > 0;
  switch (isSettled || step !== 'major' ? step : 'minor') {
    case 'major':
      return { step, because, version: `${major + 1}.0.0` };
    case 'minor':
      return { step, because, version: `${major}.${minor + 1}.0` };
    case 'patch':
      return { step, because, version: `${major}.${minor}.${patch + 1}` };
  }
}

function decideStep(changes: Section['entries']): readonly [Step, string] {
  const entries = (heading: Parameters<typeof changes.get>[0]): readonly string[] =>
    changes.get(heading) ?? [];
  const breaking = entries('Wire').find((entry) => BREAKING.test(entry));
  if (breaking !== undefined) return ['major', `Wire: ${breaking}`];
  for (const [heading, step] of [
    ['Removed', 'major'],
    ['Wire', 'minor'],
    ['Added', 'minor'],
    ['Changed', 'minor'],
    ['Deprecated', 'minor'],
  ] as const) {
    const [first] = entries(heading);
    if (first !== undefined) return [step, `${heading}: ${first}`];
  }
  return ['patch', 'nothing but fixes'];
}

export interface Plan {
  readonly version: string;
  readonly previous: string | null;
  readonly step: Step | 'first release';
  readonly because: string;
  /** The changes stand under the version and a date, not under Unreleased: all is written for a tag. */
  readonly isDated: boolean;
}

/** What would be released from this changelog with the version of this manifest. Throws with the way out when the two do not fit. */
export function planRelease(version: string, sections: readonly Section[]): Plan {
  const [unreleased, ...rest] = sections[0]?.version === null ? sections : [undefined, ...sections];
  const hasUnreleased = [...(unreleased?.entries.values() ?? [])].some((entries) => entries.length > 0);
  const released = rest.filter((section) => section !== undefined);
  const isDated = !hasUnreleased && released[0]?.version === version;
  const section = isDated ? released[0] : unreleased;
  const previous = (isDated ? released[1] : released[0])?.version ?? null;
  if (section === undefined || section.entries.size === 0)
    throw new Error(
      `CHANGELOG.md says nothing of ${version}: neither under Unreleased nor under [${version}].`,
    );
  if (previous === null) {
    parseVersion(version);
    return {
      version,
      previous,
      step: 'first release',
      because: 'no version stands in CHANGELOG.md',
      isDated,
    };
  }
  const decision = decideVersion(previous, section.entries);
  if (decision.version !== version)
    throw new Error(
      `package.json says ${version}, and after ${previous} comes ${decision.version}: this is a ${decision.step} step ` +
        `(${decision.because}). Run \`npm version --no-git-tag-version ${decision.version}\`.`,
    );
  return { version, previous, step: decision.step, because: decision.because, isDated };
}
