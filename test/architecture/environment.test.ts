// Who may read the environment. Everything else gets its settings handed in, so that two servers in one test
// process can differ, and so that .env.example can be complete.

import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { readSourceFiles } from './source-files.ts';

/** There is none in a browser, and its types have none: what the dashboard says of it is text, for workers to copy. */
const BROWSER = 'src/dashboard/';
const READERS = ['src/server/config.ts', 'src/cli/environment.ts', 'src/testing/environment.ts'];

// `process.env`, `process['env']`, `const { env } = process`, `import { env } from 'node:process'`.
const READS_ENVIRONMENT = [
  /\bprocess\s*(\?\.|\.)\s*env\b/,
  /\bprocess\s*\[\s*['"`]env['"`]\s*\]/,
  /\{[^{}]*\benv\b[^{}]*\}\s*=\s*process\b/,
  /import\s*(type\s*)?\{[^}]*\benv\b[^}]*\}\s*from\s*['"](node:)?process['"]/,
];

/** Comments may speak of process.env; code may not. Strings are kept: a URL in one would end it early at `//`. */
function withoutComments(text: string): string {
  return text.replace(/\/\*[\s\S]*?\*\//g, '').replace(/^\s*\/\/.*$/gm, '');
}

function readsEnvironment(text: string): boolean {
  const code = withoutComments(text);
  return READS_ENVIRONMENT.some((pattern) => pattern.test(code));
}

describe('environment', () => {
  it('is read by the configuration of the server, of the command line and of servers for tests only', () => {
    const readers = readSourceFiles().filter(
      ({ path, text }) => !READERS.includes(path) && !path.startsWith(BROWSER) && readsEnvironment(text),
    );
    expect(readers.map(({ path }) => path)).toEqual([]);
  });

  it('is recognised in every spelling', () => {
    const spellings = [
      'const port = process.env.PORT;',
      "const port = process['env'];",
      'const { env } = process;',
      "import { argv, env } from 'node:process';",
    ];
    expect(spellings.filter((text) => !readsEnvironment(text))).toEqual([]);
    expect(readsEnvironment('// process.env is read by config.ts only')).toBe(false);
  });

  it('of the server is documented in .env.example, variable by variable', () => {
    const example = readFileSync(new URL('../../.env.example', import.meta.url), 'utf8');
    const documented = [...example.matchAll(/^#?\s?([A-Z][A-Z0-9_]+)=/gm)].map((match) => match[1]);
    const config = readSourceFiles().find(({ path }) => path === 'src/server/config.ts')?.text ?? '';
    const read = [...config.matchAll(/\b(PORT|HOST|DATABASE_URL(?:_FILE)?|LANEKEEPER_[A-Z0-9_]+)\b/g)].map(
      (match) => match[1],
    );
    expect([...new Set(read)].filter((name) => !documented.includes(name))).toEqual([]);
  });
});
