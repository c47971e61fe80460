// Mends three faults of the database driver (postgres 3.4.9) in its text, for the bundle and for the tests. A patched copy in node_modules
// would need an install hook, which many people rightly switch off; a wrapper cannot reach the variables. Not mended: `npm run dev`, which
// runs the sources. Delete this file when a release has them all.

/** The module of the driver that keeps one connection. */
export const DRIVER_CONNECTION = /[\\/]node_modules[\\/]postgres[\\/]src[\\/]connection\.js$/;

/** What is found in the text, how often, and what it becomes. */
const FIXES = [
  // Small writes are put off to the end of the event loop's turn. When the connection closes in between, the timer is dropped, but not the
  // belief that one is set: the next connection of that slot never sends its first byte, waits for the connect timeout (5 s) and fails, time
  // after time. A restart of Postgres under load left a server answering nothing for seconds.
  {
    found: /^ {4}clearImmediate\(nextWriteTimer\)$/gm,
    times: 2,
    fixed: '$&\n    chunk = nextWriteTimer = null',
  },
  // Rows are counted into their result, and the count was set back only by the end of a result, not by an error in the middle of one. The
  // next result of that connection then began with holes, one for each row that had come before the error.
  {
    found: /^ {4}query = results = errorResponse = null$/gm,
    times: 1,
    fixed: '$&\n    rows = 0',
  },
  // A socket that breaks tells its error a moment before it closes. A query that is handed to the connection in between was forgotten: it
  // stood until the caller's patience was over, or, worse, was answered with the emptiness of the next connection's greeting.
  {
    found: /^ {4}!hadError && (\(query \|\| sent\.length\) && error\(.*\))$/gm,
    times: 1,
    fixed: '    ;$1\n    query = results = errorResponse = null\n    rows = 0\n    result = new Result()',
  },
];

/**
 * @param {string} code of the driver's module
 * @returns {string}
 */
export function fixDriver(code) {
  return FIXES.reduce((text, { found, times, fixed }) => {
    const count = text.match(found)?.length ?? 0;
    if (count !== times) {
      throw new Error(
        `The driver was changed: ${count} of ${times} places like ${found} were found. Is scripts/driver-fix.mjs still needed?`,
      );
    }
    return text.replace(found, fixed);
  }, code);
}
