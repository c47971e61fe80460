/** The one place that constructs things and wires them together. */
import { ROUTES } from '../contract/routes.ts';
import { type Base, createBase, createErrorReport, type ServerParts } from './compose/base.ts';
import { bindRoutes } from './compose/routes.ts';
import { createServices, type Services } from './compose/services.ts';
import { startSweeps } from './compose/sweeps.ts';
import { makeApiKey } from './features/auth/service.ts';
import { type App, createApp } from './http/app.ts';
import { listen } from './http/listen.ts';
import { DatabaseClock } from './kernel/clock.ts';
import { IdSource } from './kernel/ids.ts';
import { createLifecycle } from './kernel/lifecycle.ts';
import { describeError } from './observability/logger.ts';
import { createUpgrade } from './ws/upgrade.ts';

export interface RunningServer {
  readonly url: string;
  readonly port: number;
  readonly databaseVersion: string;
  /** Answers 503 to new work, lets what runs finish, closes sockets with 1012, then lets go of the database. */
  stop(): Promise<void>;
}

/** How long requests in flight may take to finish at a stop. */
const DRAIN_TIMEOUT_MS = 3000;

/** A new admin key in the form of all keys; its row is made when the server starts with it. */
export function makeAdminKey(): string {
  return makeApiKey('admin', new IdSource(new DatabaseClock()).next());
}

export async function startServer(parts: ServerParts): Promise<RunningServer> {
  const { config, logger } = parts;
  const onError = createErrorReport(logger);
  const lifecycle = createLifecycle((name, error) => onError(name)(error));
  try {
    const base = await createBase(parts, lifecycle, onError);
    const services = createServices(base);
    await services.keys.ensureAdminKey(parts.adminKey, 'bootstrap');
    await services.boards.ensureDefault({ type: 'system', id: 'bootstrap' });
    const app = createApp(ROUTES, (error, requestId) =>
      logger.error({ requestId, error: describeError(error) }, 'request failed'),
    );
    await bindRoutes(app, base, services, parts);
    startSweeps(base, services);
    const { url, port } = await openDoors(app, base, services);
    return {
      url: config.publicUrl ?? url,
      port,
      databaseVersion: base.databaseVersion,
      stop: () => lifecycle.stop(),
    };
  } catch (error) {
    await lifecycle.stop();
    throw error;
  }
}

async function openDoors(
  app: App,
  { config, lifecycle, onError }: Base,
  { sessions, streams, pushing }: Services,
): Promise<{ url: string; port: number }> {
  const publicOrigin = config.publicUrl === null ? [] : [new URL(config.publicUrl).origin];
  const allowedOrigins = new Set([...config.allowedOrigins, ...publicOrigin]);
  const listening = await listen({
    app,
    host: config.host,
    port: config.port,
    onUpgrade: createUpgrade({
      admit: sessions.admit,
      // A page of our own: the browser names the very host it asks.
      isOriginAllowed: (origin, host) =>
        allowedOrigins.has(origin) || (host !== undefined && origin === `http://${host}`),
      onError: onError('upgrade'),
    }),
  });
  // Registered last, so they stop first: nothing new comes in while the rest lets go.
  lifecycle.onStop('http', () => listening.close(DRAIN_TIMEOUT_MS));
  lifecycle.onStop('push', () => pushing.drain());
  lifecycle.onStop('event streams', () => streams.drain());
  lifecycle.onStop('sockets', () => sessions.drain());
  return { url: urlOf(config.host, listening.port), port: listening.port };
}

function urlOf(host: string, port: number): string {
  const name = host === '0.0.0.0' || host === '::' ? '127.0.0.1' : host;
  return `http://${name.includes(':') ? `[${name}]` : name}:${port}`;
}
