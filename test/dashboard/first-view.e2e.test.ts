/** What a browser loads before it shows a board, over the wire: no more than its budget. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { beforeAll, expect, test } from 'vitest';
import { buildServer, ROOT } from '../fixtures/server-process.ts';

const BYTES_MAX = 350 * 1024;
const FOLDER = join(ROOT, 'dist/dashboard');

const read = (name: string): string => readFileSync(join(FOLDER, name), 'utf8');

/** Scripts and styles that the page names, and what those scripts load with them: the board is part of them. */
function firstFiles(): ReadonlySet<string> {
  const files = new Set(['index.html']);
  const todo = [...read('index.html').matchAll(/(?:src|href)="\/([^"]+)"/g)].map(([, name = '']) => name);
  for (let name = todo.pop(); name !== undefined; name = todo.pop()) {
    if (files.has(name)) continue;
    files.add(name);
    if (!name.endsWith('.js')) continue;
    for (const [, other = ''] of read(name).matchAll(/(?:from|import)\s*["']\.\/([^"']+\.js)["']/g))
      todo.push(`assets/${other}`);
  }
  return files;
}

beforeAll(buildServer);

test('the first view of the dashboard is below 350 KB, compressed as the server does', () => {
  const sizes = [...firstFiles()].map((name) => [name, gzipSync(read(name), { level: 9 }).length] as const);
  const names = sizes.map(([name]) => name);
  for (const kind of [/^assets\/index-.*\.js$/, /^assets\/index-.*\.css$/])
    expect(names.filter((name) => kind.test(name))).toHaveLength(1);
  // The board is in it: else it would be loaded after the first view, and not be counted.
  const scripts = names
    .filter((name) => name.endsWith('.js'))
    .map(read)
    .join('\n');
  expect(scripts).toContain('board-card');
  const total = sizes.reduce((sum, [, bytes]) => sum + bytes, 0);
  expect(total, JSON.stringify(sizes)).toBeLessThan(BYTES_MAX);
  expect(total).toBeGreaterThan(50 * 1024);
});
