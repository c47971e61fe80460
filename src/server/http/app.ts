/** The HTTP application: what happens to requests that no route takes. */
import { randomUUID } from 'node:crypto';
import { Hono } from 'hono';
import type { Route } from '../../contract/route.ts';
import { ProblemError } from '../kernel/problem-error.ts';
import type { NodeEnv } from './exchange.ts';
import { asProblem, problemBody } from './on-error.ts';

export type App = Hono<NodeEnv>;

interface KnownPath {
  readonly pattern: RegExp;
  readonly method: string;
}

export function createApp(routes: readonly Route[], onBug: (error: unknown, requestId: string) => void): App {
  const app = new Hono<NodeEnv>();
  const paths: KnownPath[] = routes.map((route) => ({
    pattern: new RegExp(`^${route.path.replaceAll('.', '\\.').replaceAll(/\{\w+\}/g, '[^/]+')}$`),
    method: route.method.toUpperCase(),
  }));

  app.notFound((context) => {
    const requestId = randomUUID();
    const allowed = paths.filter(({ pattern }) => pattern.test(context.req.path)).map(({ method }) => method);
    const problem =
      allowed.length > 0
        ? new ProblemError('method_not_allowed', `This resource offers ${allowed.join(', ')}.`, {
            headers: { Allow: allowed.join(', ') },
          })
        : new ProblemError('not_found', 'There is nothing at this path.', {
            extensions: { resource: 'route' },
          });
    return problemResponse(problem, requestId);
  });
  // Handlers answer their own failures; what arrives here is the framework's, or a bug in the binding.
  app.onError((error) => {
    const requestId = randomUUID();
    onBug(error, requestId);
    return problemResponse(asProblem(error), requestId);
  });
  return app;
}

function problemResponse(problem: ProblemError, requestId: string): Response {
  return new Response(JSON.stringify(problemBody(problem, requestId)), {
    status: problem.status,
    headers: { ...problem.headers, 'Content-Type': 'application/problem+json', 'X-Request-Id': requestId },
  });
}
