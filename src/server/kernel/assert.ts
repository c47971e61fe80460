/** Assertions: what must hold whatever a caller sends. A failed one is a bug and becomes a 500 without detail. */

class AssertionError extends Error {
  override readonly name = 'AssertionError';
}

export function assert(condition: unknown, why: string): asserts condition {
  if (!condition) throw new AssertionError(why);
}

/** Ends an exhaustive switch: a new case fails to compile here. */
export function unreachable(value: never): never {
  throw new AssertionError(`unreachable: ${JSON.stringify(value)}`);
}

/** The value, which the caller knows to be there; `why` says from where. */
export function present<T>(value: T | null | undefined, why: string): T {
  assert(value !== null && value !== undefined, why);
  return value;
}
