/** Pages whose links lead somewhere, and whose commands are run by a test, or say why they are not. */
import { existsSync, readFileSync, statSync } from 'node:fs';
import { dirname, join, normalize } from 'node:path';
import { describe, expect, test } from 'vitest';
import { ROOT } from '../fixtures/server-process.ts';
import { blocksOf, pages, SHELLS } from '../fixtures/walk.ts';

const read = (path: string): string => readFileSync(join(ROOT, path), 'utf8');

/** As the common hosts make anchors of headings. */
function anchorsOf(document: string): Set<string> {
  const anchors = new Set<string>();
  for (const [, heading = ''] of withoutBlocks(document).matchAll(/^#{1,6} +(.+)$/gm)) {
    const anchor = heading
      .replace(/\[([^\]]*)\]\([^)]*\)/g, '$1')
      .replace(/[`*_]/g, (mark) => (mark === '_' ? '_' : ''))
      .toLowerCase()
      .replace(/[^\p{L}\p{N} _-]/gu, '')
      .replaceAll(' ', '-');
    anchors.add(anchors.has(anchor) ? `${anchor}-1` : anchor);
  }
  return anchors;
}

function withoutBlocks(document: string): string {
  return document.replace(/^```[\s\S]*?^```$/gm, '');
}

/** What leads nowhere, in words. Addresses elsewhere are taken as they are: tests do not leave the machine. */
function brokenLinks(page: string): string[] {
  const document = read(page);
  const text = withoutBlocks(document).replace(/`[^`\n]*`/g, '');
  return [...text.matchAll(/\]\(([^)\s]+)\)/g)].flatMap(([, target = '']) => {
    if (/^[a-z]+:/.test(target)) return [];
    const [path = '', anchor] = target.split('#');
    const file = path === '' ? page : normalize(join(dirname(page), path));
    if (!existsSync(join(ROOT, file))) return [`${target}: there is no ${file}`];
    if (anchor === undefined || statSync(join(ROOT, file)).isDirectory()) return [];
    return anchorsOf(read(file)).has(anchor) ? [] : [`${target}: ${file} has no such heading`];
  });
}

describe.each([...pages(), 'CHANGELOG.md', 'docs/llms.txt'])('%s', (page) => {
  test('has no link that leads nowhere', () => {
    expect(brokenLinks(page)).toEqual([]);
  });

  test('has no commands that nobody runs, without a reason', () => {
    const silent = blocksOf(read(page))
      .filter(({ language }) => SHELLS.includes(language))
      .filter(
        ({ language, manner }) => language !== 'sh' || !/^(walk( background)?|not run: \S.*)$/.test(manner),
      )
      .map(({ line, manner }) => `line ${line}: ${manner}`);
    expect(silent).toEqual([]);
  });
});

test('blocks and anchors are found as they stand', () => {
  const document = '# A `b` c_d\n\ntext\n\n```sh walk\n# no heading\nx\n```\n\n## A [link](x.md): yes\n';
  expect([...anchorsOf(document)]).toEqual(['a-b-c_d', 'a-link-yes']);
  expect(blocksOf(document)).toEqual([
    { line: 5, language: 'sh', manner: 'walk', text: '# no heading\nx\n' },
  ]);
});
