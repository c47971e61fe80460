/** What slips into a package is found before it is published. */
import { expect, test } from 'vitest';
import {
  FILE_BYTES_MAX,
  findFaults,
  PACKED_BYTES_MAX,
  type Packed,
  type PackedFile,
} from '../../scripts/release/tarball-rules.ts';

const file = (path: string, text: string | null = '', more: Partial<PackedFile> = {}): PackedFile => ({
  path,
  text,
  bytes: text?.length ?? 1,
  isExecutable: false,
  ...more,
});
const PATHS = [
  ...['package.json', 'README.md', 'CHANGELOG.md', 'LICENSE', 'THIRD_PARTY_LICENSES.txt', 'openapi.yaml'],
  ...[
    'dist/server/main.js',
    'dist/dashboard/index.html',
    'dist/docs-ui/LICENSE',
    'drizzle/meta/_journal.json',
  ],
  ...['dist/client/index.js', 'dist/types/client/index.d.ts'],
];
const GOOD: Packed = {
  files: [...PATHS.map((path) => file(path)), file('bin/lanekeeper.js', '', { isExecutable: true })],
  packedBytes: 1000,
  manifest: {
    bin: { lanekeeper: 'bin/lanekeeper.js' },
    exports: {
      './client': { types: './dist/types/client/index.d.ts', default: './dist/client/index.js' },
      './openapi.yaml': './openapi.yaml',
    },
  },
  machinePaths: ['/home/ann/lanekeeper'],
};
const withFile = (added: PackedFile): Packed => ({ ...GOOD, files: [...GOOD.files, added] });
const mapOf = (...sources: readonly string[]) => JSON.stringify({ version: 3, sources, mappings: '' });

test('a package with all that it promises and nothing else has no fault', () => {
  expect(findFaults(GOOD)).toEqual([]);
  expect(findFaults(withFile(file('dist/client/index.js.map', mapOf('../../src/client/index.ts'))))).toEqual(
    [],
  );
  expect(findFaults(withFile(file('dist/dashboard/favicon.ico', null)))).toEqual([]);
  expect(findFaults(withFile(file('.env.example')))).toEqual([]);
});

test.each([
  ['a test', file('dist/server/claims.test.js')],
  ['a directory of tests', file('dist/test/server.js')],
  ['sources', file('src/server/main.ts')],
  ['an environment', file('docs/.env')],
  ['the build stamp, which differs from checkout to checkout', file('dist/.stamp')],
  ['a private key by its name', file('docs/server.pem')],
  ['an admin key by its name', file('dist/admin-key')],
  ['a half-written file', file('dist/server/main.js.4711.tmp')],
  ['a private key', file('docs/a.md', '-----BEGIN RSA PRIVATE KEY-----\nMIIE')],
  ['a token of npm', file('docs/a.md', `npm_${'a1'.repeat(18)}`)],
  ['a login of npm', file('docs/a.md', '//registry.npmjs.org/:_authToken=x')],
  ['a key of Lanekeeper', file('docs/a.md', `lk_${'a'.repeat(40)}`)],
  ['a path of the machine', file('dist/server/extra.js', 'at /home/ann/lanekeeper/src/x.ts')],
  ['a source map with an absolute source', file('dist/x.js.map', mapOf('/build/src/x.ts'))],
  ['a source map with a URL of a file', file('dist/x.js.map', mapOf('file:///build/src/x.ts'))],
  ['a source map from a drive', file('dist/x.js.map', mapOf('C:\\build\\x.ts'))],
  ['a file that is too big', file('dist/big.js', '', { bytes: FILE_BYTES_MAX + 1 })],
])('%s is a fault', (_, added) => {
  expect(findFaults(withFile(added))).toEqual([expect.stringContaining(added.path)]);
});

test.each(['LICENSE', 'THIRD_PARTY_LICENSES.txt', 'dist/types/client/index.d.ts', 'bin/lanekeeper.js'])(
  'a package without %s is refused',
  (missing) => {
    const files = GOOD.files.filter(({ path }) => path !== missing);
    expect(findFaults({ ...GOOD, files })).toEqual([`${missing} is missing`]);
  },
);

test('a command that cannot be run, or a package that has become too big, is refused', () => {
  const files = GOOD.files.map((one) => ({ ...one, isExecutable: false }));
  expect(findFaults({ ...GOOD, files })).toEqual(['bin/lanekeeper.js is not executable']);
  expect(findFaults({ ...GOOD, packedBytes: PACKED_BYTES_MAX + 1 })).toHaveLength(1);
});
