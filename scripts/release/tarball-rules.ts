/** What may be in the package that is published, and what must be. Pure: it is told the files, and says what is wrong with them. */

export interface PackedFile {
  /** Below the package, with slashes. */
  readonly path: string;
  readonly bytes: number;
  readonly isExecutable: boolean;
  /** Null for what is no text. */
  readonly text: string | null;
}

export interface Manifest {
  readonly bin: Readonly<Record<string, string>>;
  readonly exports: Readonly<Record<string, string | Readonly<Record<string, string>>>>;
}

export interface Packed {
  readonly files: readonly PackedFile[];
  readonly packedBytes: number;
  readonly manifest: Manifest;
  /** Paths of the machine that has built it: none may be in any file. */
  readonly machinePaths: readonly string[];
}

/** 2.9 MB as of 0.1.0; half as much again would be something that slipped in. */
export const PACKED_BYTES_MAX = 4_500_000;
/** The page at /docs is one script of 1.5 MB, and source maps of the server have 2.7 MB. */
export const FILE_BYTES_MAX = 4_000_000;

/** Where things may stand. What belongs nowhere here has come in by a pattern that was too wide. */
const PLACES = /^(?:bin|dist|drizzle|docs|deploy|examples)\//;
const TOP_FILES: ReadonlySet<string> = new Set([
  'package.json',
  'README.md',
  'CHANGELOG.md',
  'LICENSE',
  'THIRD_PARTY_LICENSES.txt',
  'openapi.yaml',
  'asyncapi.yaml',
  '.env.example',
]);
const REQUIRED = [
  'package.json',
  'README.md',
  'CHANGELOG.md',
  'LICENSE',
  'THIRD_PARTY_LICENSES.txt',
  'openapi.yaml',
  'dist/server/main.js',
  'dist/dashboard/index.html',
  'dist/docs-ui/LICENSE',
  'drizzle/meta/_journal.json',
];

/** Of tests, of tools, of the owner of the machine, or half written. */
const UNWANTED: readonly (readonly [RegExp, string])[] = [
  [
    /(?:^|\/)(?:test|tests|__tests__|fixtures|node_modules|coverage)\//,
    'is in a directory that is not published',
  ],
  [/\.(?:test|spec|bench)\.[cm]?[jt]sx?$/, 'is a test'],
  [/(?:^|\/)\.(?!well-known\/|env\.example$)/, 'is a hidden file'],
  [/\.(?:pem|key|p12|pfx|crt|jks|kdbx)$/, 'may be a key'],
  [/(?:^|\/)(?:id_rsa|id_ed25519|admin-key|credentials)(?:\.|$)/, 'may be a key'],
  [/\.(?:tmp|orig|rej|log|bak|swp|tgz|tsbuildinfo)$/, 'is left over'],
];

const SECRETS: readonly (readonly [RegExp, string])[] = [
  [/-----BEGIN (?:[A-Z]+ )?PRIVATE KEY-----\s+[A-Za-z0-9+/]/, 'a private key'],
  [/\bAKIA[0-9A-Z]{16}\b/, 'a key of AWS'],
  [/\bgh[pousr]_[A-Za-z0-9]{36}\b/, 'a token of GitHub'],
  [/\bnpm_[A-Za-z0-9]{36}\b/, 'a token of npm'],
  [/\bxox[abpr]-[0-9]{10,}-/, 'a token of Slack'],
  [/\bsk-[A-Za-z0-9_-]{32,}/, 'a key of a model provider'],
  [/\blk_[A-Za-z0-9_-]{32,}/, 'a key of Lanekeeper'],
  [/_authToken\s*=\s*\S/, 'a login of npm'],
];

/** One sentence each; none when it may be published. */
export function findFaults(packed: Packed): string[] {
  const { files, packedBytes, manifest } = packed;
  const paths = new Set(files.map(({ path }) => path));
  const faults = [...REQUIRED, ...namedBy(manifest)]
    .filter((path) => !paths.has(path))
    .map((path) => `${path} is missing`);
  if (packedBytes > PACKED_BYTES_MAX)
    faults.push(`the package has ${packedBytes} bytes, and may have ${PACKED_BYTES_MAX}`);
  for (const path of Object.values(manifest.bin)) {
    const program = files.find((file) => file.path === withoutDot(path));
    if (program !== undefined && !program.isExecutable) faults.push(`${path} is not executable`);
  }
  for (const file of files) faults.push(...faultsOf(file, packed).map((fault) => `${file.path} ${fault}`));
  return faults;
}

function faultsOf({ path, bytes, text }: PackedFile, { machinePaths }: Packed): string[] {
  const faults = UNWANTED.filter(([pattern]) => pattern.test(path)).map(([, fault]) => fault);
  if (!PLACES.test(path) && !TOP_FILES.has(path)) faults.push('has no business in the package');
  if (bytes > FILE_BYTES_MAX) faults.push(`has ${bytes} bytes, and may have ${FILE_BYTES_MAX}`);
  if (text === null) return faults;
  faults.push(...SECRETS.filter(([pattern]) => pattern.test(text)).map(([, secret]) => `contains ${secret}`));
  faults.push(...machinePaths.filter((place) => text.includes(place)).map((place) => `names ${place}`));
  if (path.endsWith('.map')) faults.push(...faultsOfSourceMap(text));
  return faults;
}

/** A map tells where the sources were. Relative to the package that is of use; else it is about the machine. */
function faultsOfSourceMap(text: string): string[] {
  const { sources, sourceRoot = '' } = JSON.parse(text) as {
    readonly sources: readonly string[];
    readonly sourceRoot?: string;
  };
  return [sourceRoot, ...sources]
    .filter((source) => /^(?:\/|[A-Za-z]:[\\/]|file:)/.test(source))
    .map((source) => `names ${source} as a source`);
}

/** What package.json promises. */
function namedBy({ bin, exports }: Manifest): string[] {
  const targets = Object.values(exports).flatMap((target) =>
    typeof target === 'string' ? [target] : Object.values(target),
  );
  return [...Object.values(bin), ...targets].map(withoutDot);
}

function withoutDot(path: string): string {
  return path.replace(/^\.\//, '');
}
