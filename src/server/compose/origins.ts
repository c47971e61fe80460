/** From which pages a browser may come: those that the operator names, and our own. */
import type { Config } from '../config.ts';

/** @param ownOrigin That of a page of ours for this very client: the browser names the host that it asks. */
export type IsOriginAllowed = (origin: string, ownOrigin: string | undefined) => boolean;

export function isOriginAllowedBy({
  allowedOrigins,
  publicUrl,
}: Pick<Config, 'allowedOrigins' | 'publicUrl'>): IsOriginAllowed {
  const allowed = new Set(allowedOrigins);
  if (publicUrl !== null) allowed.add(new URL(publicUrl).origin);
  return (origin, ownOrigin) => allowed.has(origin) || origin === ownOrigin;
}
