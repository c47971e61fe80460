// Size and names of source files. Both rules stop what no review stops: the file that everything lands in.

import { describe, expect, it } from 'vitest';
import { readSourceFiles } from './source-files.ts';

// Past it a file should have become a folder. A test file tells one story, with all its cases: it may be longer.
const FILE_LINES_MAX = { src: 300, bench: 300, chaos: 300, scripts: 300, test: 500 };

// Names that say nothing about what is inside, so anything fits. `types` is one only when it stands alone.
const VAGUE_NAMES = /(^|\/|-)(utils?|helpers?|common|managers?|misc|shared)(-|\.|\/)|\/types(\.|\/)/;

describe('source files', () => {
  it.each(Object.entries(FILE_LINES_MAX))('of %s have at most %i lines', (folder, linesMax) => {
    const sizes = readSourceFiles(folder).map(({ path, text }) => ({
      path,
      lines: text.split('\n').length - 1,
    }));
    expect(sizes.length).toBeGreaterThan(0);
    expect(sizes.filter(({ lines }) => lines > linesMax)).toEqual([]);
  });

  it('have names that say what is inside', () => {
    const paths = readSourceFiles().map(({ path }) => path);
    expect(paths.filter((path) => VAGUE_NAMES.test(path))).toEqual([]);
  });

  it('recognises a vague name, and leaves longer words alone', () => {
    const names = [
      'src/server/utils.ts',
      'src/cli/helpers/print.ts',
      'src/server/task-manager.ts',
      'src/client/types.ts',
    ];
    expect(names.filter((name) => VAGUE_NAMES.test(name))).toEqual(names);
    expect(VAGUE_NAMES.test('src/client/operation-types.ts')).toBe(false);
  });
});
