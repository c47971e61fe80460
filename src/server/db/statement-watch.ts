/**
 * Sees how long each statement takes, from when it is handed to the driver to its answer, so with the wait for a free connection. Of a
 * statement it knows the constant tag that its text begins with, never the rest of the text and never a parameter.
 *
 * The driver offers no hook at the end of a statement, and everything that is awaited is one of its queries; so the query is given a
 * handler of our own. Pieces of SQL inside of other statements are queries, too, and are never handed over: they cost one closure.
 */
export interface StatementFacts {
  readonly tag: string;
  readonly milliseconds: number;
  /** null: it failed, or says nothing of rows. */
  readonly rows: number | null;
  /** The code of the error it ended with. */
  readonly failure: string | null;
}

export interface StatementWatch {
  /** Called for every statement. Must be cheap, and must not throw. */
  onEnd(pool: string, seconds: number): void;
  /** Statements that take at least so long are told of; infinite: none. */
  readonly slowMs: number;
  onSlow(pool: string, facts: StatementFacts): void;
}

/** What is used of the driver's query (postgres 3.4.9, src/query.js); test/server/db/statement-watch.pg.test.ts holds it to that. */
interface DriverQuery {
  readonly strings: readonly string[];
  handler: (query: DriverQuery) => unknown;
  resolve: (value: unknown) => void;
  reject: (error: unknown) => void;
}

const TAG = /^\s*\/\* ([a-z0-9_.]+) \*\//;
/** Of a statement that has none; all of ours have one. */
const UNTAGGED = 'untagged';
const COMMIT = 'db.commit';

type AnyFunction = (...parameters: unknown[]) => unknown;
type Work = (runner: object) => unknown;

/** The pool as it was, seen. */
export function watchStatements<Pool extends object>(sql: Pool, pool: string, watch: StatementWatch): Pool {
  const seen = (query: unknown): unknown => {
    if (!isQuery(query)) return query;
    const { handler } = query;
    query.handler = (running) => {
      observe(running, pool, watch);
      return handler(running);
    };
    return query;
  };
  const runnerOf = <R extends object>(
    runner: R,
    scopes: Readonly<Record<string, (open: AnyFunction) => AnyFunction>>,
  ): R =>
    new Proxy(runner, {
      apply: (target, self, parameters) =>
        seen(Reflect.apply(target as unknown as AnyFunction, self, parameters)),
      get: (target, name) => {
        const value: unknown = Reflect.get(target, name);
        const scope = typeof name === 'string' && Object.hasOwn(scopes, name) ? scopes[name] : undefined;
        return scope === undefined || typeof value !== 'function' ? value : scope(value as AnyFunction);
      },
    });
  const withWork =
    (open: AnyFunction, wrap: (work: Work) => Work): AnyFunction =>
    (...parameters) =>
      open(
        ...parameters.map((parameter) =>
          typeof parameter === 'function' ? wrap(parameter as Work) : parameter,
        ),
      );
  const savepoint = (open: AnyFunction): AnyFunction =>
    withWork(open, (work) => (inner) => work(runnerOf(inner, { savepoint })));
  const begin =
    (open: AnyFunction): AnyFunction =>
    (...parameters) => {
      let workEndedAt = Number.NaN;
      const opened = withWork(open, (work) => async (inner) => {
        const result = await work(runnerOf(inner, { savepoint }));
        workEndedAt = performance.now();
        return result;
      })(...parameters) as Promise<unknown>;
      // What is left of a transaction is its commit, which waits for the disk and for standbys.
      opened.then(() => end(watch, { pool, startedAt: workEndedAt, tag: COMMIT }), ignore);
      return opened;
    };
  return runnerOf(sql, { begin });
}

function observe(query: DriverQuery, pool: string, watch: StatementWatch): void {
  const startedAt = performance.now();
  const { resolve, reject } = query;
  query.resolve = (value) => {
    end(watch, { pool, startedAt, tag: query, rows: rowsOf(value) });
    resolve(value);
  };
  query.reject = (error) => {
    end(watch, { pool, startedAt, tag: query, failure: codeOf(error) });
    reject(error);
  };
}

interface Ended {
  readonly pool: string;
  readonly startedAt: number;
  /** Read from the query only when it is slow. */
  readonly tag: string | DriverQuery;
  readonly rows?: number | null;
  readonly failure?: string | null;
}

function end(watch: StatementWatch, { pool, startedAt, tag, rows = null, failure = null }: Ended): void {
  const milliseconds = performance.now() - startedAt;
  watch.onEnd(pool, milliseconds / 1000);
  if (milliseconds < watch.slowMs) return;
  watch.onSlow(pool, { tag: typeof tag === 'string' ? tag : tagOf(tag), milliseconds, rows, failure });
}

function ignore(): void {
  // Whoever opened the transaction hears of its failure.
}

function isQuery(value: unknown): value is DriverQuery {
  return value instanceof Promise && 'handler' in value && 'strings' in value;
}

function tagOf({ strings }: DriverQuery): string {
  return TAG.exec(strings[0] ?? '')?.[1] ?? UNTAGGED;
}

function rowsOf(result: unknown): number | null {
  return typeof result === 'object' &&
    result !== null &&
    'count' in result &&
    typeof result.count === 'number'
    ? result.count
    : null;
}

function codeOf(error: unknown): string {
  return typeof error === 'object' && error !== null && 'code' in error ? String(error.code) : 'unknown';
}
