/**
 * The processes of the load, bundled once: a loader that translates TypeScript would cost each of them half a second of processor time,
 * and the kills make dozens of them.
 */
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build, stop } from 'esbuild';

const WORKLOAD = fileURLToPath(new URL('./workload/', import.meta.url));
const NAMES = [
  'worker',
  'orchestrator',
  'prober',
  'watcher',
  'gateway',
  'synthesizer',
  'churn',
  'resuming-watcher',
] as const;

export type ProgramName = (typeof NAMES)[number];

/** Answers where they are. */
export async function bundlePrograms(directory: string): Promise<Record<ProgramName, string>> {
  await build({
    entryPoints: NAMES.map((name) => join(WORKLOAD, `${name}.ts`)),
    outdir: directory,
    outExtension: { '.js': '.mjs' },
    bundle: true,
    format: 'esm',
    platform: 'node',
    target: 'node20',
    // ws asks for Node's modules the old way, and for two optional native ones that are not needed.
    banner: {
      js: "import { createRequire } from 'node:module'; const require = createRequire(import.meta.url);",
    },
    external: ['bufferutil', 'utf-8-validate'],
    legalComments: 'none',
    logLevel: 'warning',
  });
  // It keeps a process of its own.
  await stop();
  return Object.fromEntries(NAMES.map((name) => [name, join(directory, `${name}.mjs`)])) as Record<
    ProgramName,
    string
  >;
}
