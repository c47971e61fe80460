import { join } from 'node:path';
import { build } from 'esbuild';
import { expect, test } from 'vitest';

const ROOT = join(import.meta.dirname, '..', '..');

/** Enough for growth, far below what a schema library would add. */
const BUNDLE_BYTES_MAX = 40_000;

test('the client loads in a browser: nothing but itself and the constants of the contract', async () => {
  const { metafile, outputFiles } = await build({
    absWorkingDir: ROOT,
    entryPoints: ['src/client/index.ts'],
    bundle: true,
    minify: true,
    format: 'esm',
    platform: 'browser',
    target: 'es2022',
    metafile: true,
    write: false,
    logLevel: 'silent',
  });
  const foreign = Object.keys(metafile.inputs).filter((path) => !path.startsWith('src/client/'));
  expect(foreign).toEqual(['src/contract/constants.ts']);
  expect(outputFiles[0]?.contents.length).toBeLessThan(BUNDLE_BYTES_MAX);
});
