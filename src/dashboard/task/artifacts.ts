/** Files and pages that a run has left behind, as they ride in its metadata. A worker wrote them: nothing about them is certain. */

export interface Artifact {
  readonly name: string;
  /** http or https only: anything else as a link could run something. */
  readonly url: string | null;
  readonly text: string | null;
}

/** As many as a completion may have. */
const ARTIFACTS_MAX = 100;

export function artifactsOf(metadata: Readonly<Record<string, unknown>>): readonly Artifact[] {
  const { artifacts } = metadata;
  if (!Array.isArray(artifacts)) return [];
  return artifacts.slice(0, ARTIFACTS_MAX).flatMap((each: unknown) => {
    const artifact = artifactOf(each);
    return artifact === null ? [] : [artifact];
  });
}

function artifactOf(value: unknown): Artifact | null {
  if (typeof value === 'string') return { name: value, url: isWebAddress(value) ? value : null, text: null };
  if (typeof value !== 'object' || value === null) return null;
  const { name, url, text } = value as Readonly<Record<string, unknown>>;
  if (typeof name !== 'string') return null;
  return {
    name,
    url: typeof url === 'string' && isWebAddress(url) ? url : null,
    text: typeof text === 'string' ? text : null,
  };
}

function isWebAddress(text: string): boolean {
  return URL.canParse(text) && ['http:', 'https:'].includes(new URL(text).protocol);
}
