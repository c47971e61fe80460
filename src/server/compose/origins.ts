/** From which pages a browser may come: those that the operator names, and our own. */
import type { Config } from '../config.ts';

export function isOriginAllowedBy({
  allowedOrigins,
  publicUrl,
}: Pick<Config, 'allowedOrigins' | 'publicUrl'>): (origin: string, host: string | undefined) => boolean {
  const allowed = new Set(allowedOrigins);
  if (publicUrl !== null) allowed.add(new URL(publicUrl).origin);
  // A page of our own: the browser names the very host it asks.
  return (origin, host) => allowed.has(origin) || (host !== undefined && origin === `http://${host}`);
}
