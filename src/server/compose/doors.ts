/** What clients come in by: the port with its routes, and the upgrade to a socket. Opened last, when all behind it is ready, and closed first. */
import type { App } from '../http/app.ts';
import { listen } from '../http/listen.ts';
import { createUpgrade } from '../ws/upgrade.ts';
import type { Base } from './base.ts';
import { isOriginAllowedBy } from './origins.ts';
import type { Services } from './services.ts';

/** How long requests in flight may take to finish at a stop. */
const DRAIN_TIMEOUT_MS = 3000;

export async function openDoors(
  app: App,
  { config, lifecycle, peers, onError }: Base,
  { sessions, streams, pushing, signIn }: Services,
): Promise<{ url: string; port: number }> {
  const listening = await listen({
    app,
    host: config.host,
    port: config.port,
    onUpgrade: createUpgrade({
      admit: sessions.admit,
      isOriginAllowed: isOriginAllowedBy(config),
      peers,
      onError: onError('upgrade'),
    }),
  });
  // Registered last, so they stop first: nothing new comes in while the rest lets go.
  lifecycle.onStop('http', () => listening.close(DRAIN_TIMEOUT_MS));
  lifecycle.onStop('push', () => pushing.drain());
  lifecycle.onStop('event streams', () => streams.drain());
  lifecycle.onStop('sockets', () => sessions.drain());
  const url = urlOf(config.host, listening.port);
  signIn.servedAt(url);
  return { url, port: listening.port };
}

function urlOf(host: string, port: number): string {
  const name = host === '0.0.0.0' || host === '::' ? '127.0.0.1' : host;
  return `http://${name.includes(':') ? `[${name}]` : name}:${port}`;
}
