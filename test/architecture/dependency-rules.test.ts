// The import rules of .dependency-cruiser.mjs: src/ keeps them, and each of them can be broken. A rule that matches
// nothing (a renamed folder, a typo in a pattern) would look exactly like a clean tree, hence the fixtures.

import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { cruise } from 'dependency-cruiser';
import { describe, expect, it } from 'vitest';
import configuration from '../../.dependency-cruiser.mjs';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
const FIXTURES = join(ROOT, 'test/fixtures/architecture');

// Every edge that must be flagged. The other imports in the fixtures are the lawful neighbours and must pass.
const FORBIDDEN_EDGES: Record<string, string[]> = {
  // A cycle is reported once, from its first file.
  'no-cycles': ['src/server/kernel/clock.ts -> src/server/kernel/timer.ts'],
  'contract-is-a-leaf': ['src/contract/tasks.ts -> crypto'],
  'client-is-standalone': ['src/client/socket.ts -> fs'],
  'client-takes-types': ['src/client/tasks.ts -> src/contract/tasks.ts', 'src/client/tasks.ts -> zod'],
  'testing-is-a-client': ['src/testing/server.ts -> pino'],
  'nobody-needs-testing': ['src/cli/try.ts -> src/testing/server.ts'],
  'server-is-private': ['src/cli/migrate.ts -> src/server/db/migrate.ts'],
  'server-knows-no-client': ['src/server/http/probe.ts -> src/client/call.ts'],
  'features-meet-at-service': ['src/server/features/claims/service.ts -> src/server/features/lanes/store.ts'],
  'routes-skip-no-layer': [
    'src/server/features/tasks/routes.ts -> src/server/features/tasks/store/select.ts',
  ],
  'state-is-pure': ['src/server/features/tasks/state.ts -> src/server/db/query.ts'],
  'kernel-does-no-io': ['src/server/kernel/ids.ts -> fs', 'src/server/kernel/ids.ts -> pino'],
  'dashboard-is-a-client': [
    'src/dashboard/page.tsx -> src/client/transport.ts',
    'src/dashboard/page.tsx -> src/contract/tasks.ts',
  ],
  'nobody-needs-the-dashboard': ['src/cli/show.ts -> src/dashboard/page.tsx'],
  'base-knows-no-feature': ['src/server/http/app.ts -> src/server/features/lanes/service.ts'],
  'sql-has-one-home': [
    'src/server/features/tasks/service.ts -> postgres',
    'src/server/http/idempotency.ts -> drizzle-orm',
  ],
  'hono-at-the-edge': ['src/server/features/tasks/service.ts -> hono', 'src/server/ws/upgrade.ts -> hono'],
  'ws-at-the-edge': ['src/server/features/watch/service.ts -> ws'],
  'mcp-in-its-feature': [
    'src/cli/mcp.ts -> @modelcontextprotocol/client',
    'src/server/http/app.ts -> @modelcontextprotocol/server',
  ],
  'no-test-code-in-src': [
    'src/cli/audit.ts -> chaos/checker.ts',
    'src/cli/probe.ts -> vitest',
    'src/server/http/clock.ts -> test/frozen-clock.ts',
  ],
};

/** Cruises `src` below a directory; answers `rule: from -> to` per violation, packages by name. */
async function findViolations(baseDir: string): Promise<string[]> {
  const { output } = await cruise(['src'], {
    ...configuration.options,
    baseDir,
    validate: true,
    ruleSet: { forbidden: configuration.forbidden ?? [] },
  });
  if (typeof output === 'string') throw new Error(`Expected a cruise result, got: ${output}`);
  if (output.summary.totalCruised === 0) throw new Error(`Nothing to cruise in ${baseDir}`);
  return output.summary.violations.map(({ rule, from, to }) => `${rule.name}: ${from} -> ${packageName(to)}`);
}

/** A package by its name wherever it is installed; a file by its path. */
function packageName(path: string): string {
  const installed = path.split('node_modules/').at(-1);
  if (installed === undefined || installed === path) return path;
  const [scope, name] = installed.replace(/^@types\//, '').split('/');
  return scope?.startsWith('@') ? `${scope}/${name}` : `${scope}`;
}

describe('direction of imports', () => {
  const rules = (configuration.forbidden ?? []).map((rule) => rule.name ?? 'unnamed');

  it('gives every rule a fixture, and every fixture a rule', () => {
    expect(readdirSync(FIXTURES).sort()).toEqual([...rules].sort());
    expect(Object.keys(FORBIDDEN_EDGES).sort()).toEqual([...rules].sort());
  });

  it.each(rules)('%s flags its fixture and nothing else', async (rule) => {
    const expected = (FORBIDDEN_EDGES[rule] ?? []).map((edge) => `${rule}: ${edge}`);
    expect((await findViolations(join(FIXTURES, rule))).sort()).toEqual(expected.sort());
  });

  it('holds in src/', async () => {
    expect(existsSync(join(ROOT, 'src'))).toBe(true);
    expect(await findViolations(ROOT)).toEqual([]);
  });
});
