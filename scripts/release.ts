/**
 * `npm run release`: everything that must be true before a version is published, tried in one go. It publishes nothing. With `--tag` it makes
 * the tag, here and nowhere else, once all of it has passed. How to go on from there: docs/releasing.md.
 *   --tag         make an annotated tag of this commit
 *   --skip-tests  leave the gates out, to try the rest; what passes then is not releasable
 *   --keep        leave the package and the project that installed it in place, and say where
 */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { readChangelog } from './release/changelog.ts';
import { runGates } from './release/gates.ts';
import { git } from './release/git.ts';
import { InstalledProject } from './release/installed-project.ts';
import { checkTarball, packTwice, type Tarball } from './release/pack.ts';
import { renderResults, runStages, type Stage } from './release/stages.ts';
import { requireNoTag } from './release/tag.ts';
import { type Plan, planRelease } from './release/version.ts';
import { findStaleBaseline } from './write-wire-baseline.ts';

const ROOT = join(import.meta.dirname, '..');

const { values: flags } = parseArgs({
  options: {
    tag: { type: 'boolean', default: false },
    'skip-tests': { type: 'boolean', default: false },
    keep: { type: 'boolean', default: false },
  },
});

async function requireCleanTree(): Promise<string> {
  const changes = await git(ROOT, 'status', '--porcelain');
  if (changes !== '') throw new Error(`What is released is a commit, and this is none yet:\n${changes}`);
  return `commit ${await git(ROOT, 'rev-parse', '--short=10', 'HEAD')}`;
}

/** What later versions will be held against is the wire that is released now. */
async function requireBaseline(version: string): Promise<string> {
  const stale = await findStaleBaseline(version);
  if (stale.length > 0)
    throw new Error(
      `test/contract/released has not the wire of ${version} (${stale.join(', ')}): run \`npx tsx scripts/write-wire-baseline.ts\`, and commit.`,
    );
  return `openapi-${version}.yaml, frames-${version}.yaml`;
}

/** One of the steps has found it out for those after it. */
function found<T>(value: T | undefined): T {
  if (value === undefined) throw new Error('an earlier step has not run');
  return value;
}

function planStages(directory: string): { stages: Stage[]; project: InstalledProject; plan: () => Plan } {
  const project = new InstalledProject(join(directory, 'project'));
  let plan: Plan | undefined;
  let tarball: Tarball | undefined;
  const readPlan = async (): Promise<string> => {
    const { version } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as { version: string };
    plan = planRelease(version, readChangelog(readFileSync(join(ROOT, 'CHANGELOG.md'), 'utf8')));
    await requireNoTag(version, ROOT);
    if (flags.tag && !plan.isDated)
      throw new Error(`CHANGELOG.md has no heading "## [${version}] - YYYY-MM-DD" yet: --tag needs it.`);
    return `${version}, ${plan.step} (${plan.because.slice(0, 60)})`;
  };
  const stages: Stage[] = [
    { name: 'clean tree', run: requireCleanTree },
    { name: 'version and changelog', run: readPlan },
    { name: 'baseline of the wire', run: () => requireBaseline(found(plan).version) },
    ...(flags['skip-tests'] ? [] : [{ name: 'gates', run: () => runGates(join(ROOT, 'scripts/gates.sh')) }]),
    {
      name: 'pack, twice the same',
      run: async () => {
        tarball = await packTwice(ROOT, directory);
        return `${(tarball.bytes / 1e6).toFixed(2)} MB, sha256 ${tarball.sha256.slice(0, 16)}`;
      },
    },
    {
      name: 'content of the package',
      run: async () => `${await checkTarball(found(tarball), ROOT, directory)} files`,
    },
    {
      name: 'install in an empty project',
      run: async () => {
        await project.install(found(tarball).path);
        await project.checkVersion(found(plan).version);
        return `lanekeeper --version: ${found(plan).version}`;
      },
    },
    ...planUse(project),
    { name: 'tree still clean', run: requireCleanTree },
  ];
  return { stages, project, plan: () => found(plan) };
}

/** What is tried with the package where it is installed. */
function planUse(project: InstalledProject): Stage[] {
  let url: string | undefined;
  return [
    {
      name: 'start the server',
      run: async () => {
        url = await project.startServer();
        await project.checkPages(url);
        return 'embedded database, dashboard, API page and documents';
      },
    },
    { name: 'a lane works a task', run: () => project.workTask().then(() => 'done') },
    {
      name: 'SDK: types and calls',
      run: async () => {
        await project.checkTypes(join(ROOT, 'node_modules/typescript/bin/tsc'));
        await project.useClient(found(url));
        return 'every entry';
      },
    },
    { name: 'back up, and check the backup', run: () => project.backUp() },
    { name: 'stop the server', run: () => project.stopServer().then(() => 'exit code 0') },
  ];
}

async function tag({ version }: Plan): Promise<void> {
  await git(ROOT, 'tag', '--annotate', `v${version}`, '--message', `Lanekeeper ${version}`);
  console.log(`Tagged v${version}. Nothing has been pushed or published; docs/releasing.md says how.`);
}

async function main(): Promise<void> {
  const directory = mkdtempSync(join(tmpdir(), 'lanekeeper-release-'));
  const { stages, project, plan } = planStages(directory);
  try {
    const results = await runStages(stages, console.log);
    console.log(`\n${renderResults(results)}\n`);
    if (results.some(({ outcome }) => outcome !== 'ok')) {
      process.exitCode = 1;
      console.log('Not releasable.');
    } else if (flags['skip-tests']) {
      console.log('Not releasable: the gates were left out.');
    } else if (flags.tag) {
      await tag(plan());
    } else {
      const next = plan().isDated ? 'npm run release -- --tag' : 'give the changelog its version and date';
      console.log(`Releasable: ${plan().version}. Nothing was tagged or published. Next: ${next}.`);
    }
  } finally {
    await project.end();
    if (flags.keep) console.log(`Kept: ${directory}`);
    else rmSync(directory, { recursive: true, force: true, maxRetries: 3 });
  }
}

main().catch((error: Error) => {
  console.error(error.message);
  process.exitCode = 1;
});
