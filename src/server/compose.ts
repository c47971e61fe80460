/** The one place that constructs things and wires them together. */
import { ROUTES } from '../contract/routes.ts';
import { createBase, createErrorReport, type ServerParts } from './compose/base.ts';
import { openDoors } from './compose/doors.ts';
import { bindRoutes } from './compose/routes.ts';
import { createServices, type Services } from './compose/services.ts';
import { startSweeps } from './compose/sweeps.ts';
import { makeApiKey } from './features/auth/service.ts';
import { mcpMessages } from './features/mcp/routes.ts';
import { createApp } from './http/app.ts';
import { DatabaseClock } from './kernel/clock.ts';
import { IdSource } from './kernel/ids.ts';
import { createLifecycle } from './kernel/lifecycle.ts';
import { describeError } from './observability/logger.ts';
import { createMetrics } from './observability/metrics.ts';

export interface RunningServer {
  /** As others reach it. */
  readonly url: string;
  /** As this machine reaches it: without a proxy. */
  readonly ownUrl: string;
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
  const metrics = createMetrics();
  const lifecycle = createLifecycle(
    (name, error) => onError(name)(error),
    (sweep, seconds) => metrics.sweepSeconds.observe({ sweep }, seconds),
  );
  try {
    const base = await createBase(parts, lifecycle, metrics, onError);
    const services = createServices(base);
    await ensureAdminKey(services, parts.adminKey);
    await services.boards.ensureDefault({ type: 'system', id: 'bootstrap' });
    const app = createApp([...ROUTES, mcpMessages], (error, requestId) =>
      logger.error({ requestId, error: describeError(error) }, 'request failed'),
    );
    await bindRoutes(app, base, services, parts);
    startSweeps(base, services);
    const { url, port } = await openDoors(app, base, services);
    return {
      url: config.publicUrl ?? url,
      ownUrl: url,
      port,
      databaseVersion: base.databaseVersion,
      createSignInLink: async () => {
        const link = await services.signIn.createFirstLink();
        await recordOwn(services, { action: 'sign_in.code_created', subject: null, data: { role: 'admin' } });
        return link;
      },
      stop: () => lifecycle.stop(),
    };
  } catch (error) {
    await lifecycle.stop();
    throw error;
  }
}

/** As the key of the environment or of the data directory: whoever may set that may do everything. */
async function ensureAdminKey(services: Services, secret: string): Promise<void> {
  const key = await services.keys.ensureAdminKey(secret, 'bootstrap');
  if (key === null) return;
  const { role, name, boards } = key;
  await recordOwn(services, { action: 'key.created', subject: key.id, data: { role, name, boards } });
}

/** What the server does by itself, when it starts. */
function recordOwn(
  { journal }: Services,
  deed: Pick<Parameters<Services['journal']['record']>[0], 'action' | 'subject' | 'data'>,
): Promise<void> {
  return journal.record({
    ...deed,
    actor: { type: 'system', id: 'start', name: null },
    ...{ boardId: null, board: null, outcome: 'done', code: null, count: 1, address: null, requestId: null },
  });
}
