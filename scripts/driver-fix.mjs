// Mends one fault of the database driver (postgres 3.4.9) in its text, for the bundle and for the tests: it puts small writes off to the
// end of the event loop's turn, and when the connection closes in between, it drops the timer but goes on believing that one is set. The
// next connection of that slot then never sends its first byte, waits for the connect timeout (5 s) and fails, time after time, so that a
// restart of Postgres under load left a server answering nothing for seconds.
// A patched copy in node_modules would need an install hook, which many people rightly switch off; a wrapper cannot reach the variable.
// Delete this file when a release of the driver has it.

/** The module of the driver that keeps one connection. */
export const DRIVER_CONNECTION = /[\\/]node_modules[\\/]postgres[\\/]src[\\/]connection\.js$/;

/** Where the driver ends a connection: by itself, and when the other side did. */
const FORGETFUL = /^ {4}clearImmediate\(nextWriteTimer\)$/gm;
const PLACES = 2;

/**
 * @param {string} code of the driver's module
 * @returns {string}
 */
export function fixDriver(code) {
  const found = code.match(FORGETFUL)?.length ?? 0;
  if (found !== PLACES) {
    throw new Error(
      `The driver was changed: ${found} of ${PLACES} places to mend were found. Is scripts/driver-fix.mjs still needed?`,
    );
  }
  return code.replace(FORGETFUL, '$&\n    chunk = nextWriteTimer = null');
}
