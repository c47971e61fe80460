import { join } from 'node:path';
import { build } from 'esbuild';
import { expect, test } from 'vitest';

const ROOT = join(import.meta.dirname, '..', '..');

/** 90 kB with everything that there is: requests, watch, worker, push. Room for growth, and none for a library that slips in. */
const BUNDLE_BYTES_MAX = 95_000;

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
  // Nothing is left for the browser to resolve: the one module of Node is named at run time, where there is no WebSocket.
  expect(Object.values(metafile.outputs).flatMap((output) => output.imports)).toEqual([]);
  expect(outputFiles[0]?.text).not.toMatch(/["']node:/);
  expect(outputFiles[0]?.contents.length).toBeLessThan(BUNDLE_BYTES_MAX);
});
