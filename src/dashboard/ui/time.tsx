/** Times as people read them: how long ago, and how long until. Both by the server's clock. */
import type { ReactNode } from 'react';
import { useSession } from '../session/session-context.tsx';
import { shortDuration } from './duration.ts';
import { useTick } from './ticker.ts';

// biome-ignore lint/performance/noBarrelFile: times and durations are looked for in one place; the durations alone need no page.
export { clockDuration, shortDuration } from './duration.ts';

interface AgoProps {
  /** RFC 3339, or milliseconds since 1970. */
  readonly at: string | number;
  /** Default: " ago". */
  readonly suffix?: string;
}

/** "12 min ago", with the exact time on hover. */
export function Ago({ at, suffix = ' ago' }: AgoProps): ReactNode {
  const { clock } = useSession();
  useTick();
  const atMs = typeof at === 'number' ? at : Date.parse(at);
  const iso = new Date(atMs).toISOString();
  return (
    <time dateTime={iso} title={iso}>
      {shortDuration((clock.now() - atMs) / 1000)}
      {suffix}
    </time>
  );
}

/** Seconds until then, anew every second; negative once it has passed. */
export function useSecondsUntil(atMs: number): number {
  const { clock } = useSession();
  useTick();
  return (atMs - clock.now()) / 1000;
}
