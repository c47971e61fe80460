/** The one place that constructs things and wires them together. */
import { ROUTES } from '../contract/routes.ts';
import { createBase, createErrorReport, type ServerParts } from './compose/base.ts';
import { openDoors } from './compose/doors.ts';
import { bindRoutes } from './compose/routes.ts';
import { createServices } from './compose/services.ts';
import { startSweeps } from './compose/sweeps.ts';
import { makeApiKey } from './features/auth/service.ts';
import { mcpMessages } from './features/mcp/routes.ts';
import { createApp } from './http/app.ts';
import { DatabaseClock } from './kernel/clock.ts';
import { IdSource } from './kernel/ids.ts';
import { createLifecycle } from './kernel/lifecycle.ts';
import { describeError } from './observability/logger.ts';

export interface RunningServer {
  readonly url: string;
  readonly port: number;
  readonly databaseVersion: string;
  /** A link that signs one person in to the dashboard as admin of every board. */
  createSignInLink(): Promise<string>;
  /** Answers 503 to new work, lets what runs finish, closes sockets with 1012, then lets go of the database. */
  stop(): Promise<void>;
}

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
    const app = createApp([...ROUTES, mcpMessages], (error, requestId) =>
      logger.error({ requestId, error: describeError(error) }, 'request failed'),
    );
    await bindRoutes(app, base, services, parts);
    startSweeps(base, services);
    const { url, port } = await openDoors(app, base, services);
    return {
      url: config.publicUrl ?? url,
      port,
      databaseVersion: base.databaseVersion,
      createSignInLink: () => services.signIn.createFirstLink(),
      stop: () => lifecycle.stop(),
    };
  } catch (error) {
    await lifecycle.stop();
    throw error;
  }
}
