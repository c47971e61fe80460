/** What a start loads: help and mistakes are answered at once because there is next to nothing to load. Times are for benchmarks. */
import { build, type Metafile } from 'esbuild';
import { beforeAll, describe, expect, test } from 'vitest';
import { CLI_BUNDLE } from './fixtures/cli-process.ts';

let metafile: Metafile;
beforeAll(async () => {
  const built = await build({ ...CLI_BUNDLE, outdir: 'dist', metafile: true, write: false });
  metafile = built.metafile;
});

interface Loaded {
  readonly files: string[];
  readonly packages: string[];
}

/** What an output and all that it imports consist of; `lazy` also what it may import later. */
function loadedBy(entry: string, kinds: readonly string[]): Loaded {
  const outputs = [entry];
  const packages = new Set<string>();
  for (const path of outputs) {
    for (const each of metafile.outputs[path]?.imports ?? []) {
      if (!kinds.includes(each.kind)) continue;
      if (each.external) packages.add(each.path);
      else if (!outputs.includes(each.path)) outputs.push(each.path);
    }
  }
  const files = outputs.flatMap((path) => Object.keys(metafile.outputs[path]?.inputs ?? {}));
  return { files, packages: [...packages].filter((name) => !name.startsWith('node:')) };
}

function entry(): string {
  const found = Object.entries(metafile.outputs).find(
    ([, { entryPoint }]) => entryPoint === 'src/cli/main.ts',
  );
  return found?.[0] ?? '';
}

describe('the command line', () => {
  test('starts with the parser of its words and nothing else: no client, no contract, no command', () => {
    const { files, packages } = loadedBy(entry(), ['import-statement']);
    expect(packages).toEqual(['commander']);
    expect(files).toContain('src/cli/command-tree.ts');
    const HEAVY = /^src\/(server|contract|cli\/groups\/|client\/(?!errors|problem-codes))/;
    expect(files.filter((path) => HEAVY.test(path))).toEqual([]);
  });

  test('never loads the server, nor the schemas of the contract', () => {
    const { files, packages } = loadedBy(entry(), ['import-statement', 'dynamic-import']);
    expect(files).toContain('src/cli/groups/task.ts');
    const FOREIGN = /^src\/(server\/|contract\/(?!constants\.ts))/;
    expect(files.filter((path) => FOREIGN.test(path))).toEqual([]);
    expect(packages).toContain('sql.js');
    expect(
      packages.filter((name) => /^(hono|postgres|drizzle-orm|pino|jose|prom-client)/.test(name)),
    ).toEqual([]);
    const schemas = Object.values(metafile.outputs).filter(({ imports }) =>
      imports.some(({ path }) => path === 'zod'),
    );
    // The answers of a model are checked with it, by a command that goes on.
    expect(schemas.map(({ entryPoint }) => entryPoint)).toEqual(['src/cli/groups/synthesize.ts']);
  });
});
