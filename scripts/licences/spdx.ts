/**
 * Which licences may come with this package, by their SPDX ids: those that ask for no more than their notice. A new one is added after
 * somebody has read it, with what it asks for.
 */

/** https://spdx.org/licenses/ */
const ALLOWED_LICENCES: ReadonlySet<string> = new Set([
  '0BSD',
  'Apache-2.0',
  'BlueOak-1.0.0',
  'BSD-2-Clause',
  'BSD-3-Clause',
  'CC0-1.0',
  'ISC',
  'MIT',
  'MIT-0',
  'PostgreSQL',
  'Python-2.0',
  'Unlicense',
  'Zlib',
]);

/** Of these not even the notice must be passed on. */
export const NO_NOTICE_NEEDED: ReadonlySet<string> = new Set(['0BSD', 'CC0-1.0', 'MIT-0', 'Unlicense']);

/** Whether an SPDX expression can be met with allowed licences alone. One that cannot be read is not allowed. */
export function isAllowed(expression: string, allowed: ReadonlySet<string> = ALLOWED_LICENCES): boolean {
  const words = expression.match(/\(|\)|[^\s()]+/g) ?? [];
  const rest = [...words];
  const readOr = (): boolean => {
    let isMet = readAnd();
    while (rest[0] === 'OR') {
      rest.shift();
      // Both sides are read to the end, whatever the first one says.
      isMet = readAnd() || isMet;
    }
    return isMet;
  };
  const readAnd = (): boolean => {
    let isMet = readOne();
    while (rest[0] === 'AND') {
      rest.shift();
      isMet = readOne() && isMet;
    }
    return isMet;
  };
  const readOne = (): boolean => {
    const word = rest.shift();
    if (word !== '(') return word !== undefined && allowed.has(word);
    const isMet = readOr();
    return rest.shift() === ')' && isMet;
  };
  const isMet = readOr();
  // Something is left over, such as WITH an exception.
  return isMet && rest.length === 0;
}
