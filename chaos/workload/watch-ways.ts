/** The three ways to follow a log: a socket, a stream of server-sent events, and long polls. Each runs until it is cut. */
import type { Event } from '../../src/contract/events.ts';
import { type Body, call, problemOf } from './call.ts';
import { type Frame, Socket } from './socket.ts';

/** What came in one piece. */
export interface Sighting {
  readonly events: readonly Event[];
  /** Everything up to it has been told. */
  readonly cursor?: string;
}

export interface WatchConnection {
  readonly url: string;
  readonly board: string;
  readonly key: string;
  readonly after: string;
  readonly signal: AbortSignal;
  readonly onSighting: (sighting: Sighting) => void;
  /** It cannot go on from there. A stream is told before it begins; one that is under way is ended by then, and told when it comes back. */
  readonly onExpired?: () => void;
}

const EXPIRED = 'cursor_expired';
const POLL_WAIT_SECONDS = 3;
const POLL_EVENTS_MAX = 200;
const POLL_TIMEOUT_MS = 8000;
/** A comment comes every 15 s. */
const STREAM_SILENT_MS = 20_000;

export async function watchBySocket(connection: WatchConnection): Promise<void> {
  const { url, board, key, after, signal, onSighting, onExpired } = connection;
  const socket: Socket | null = await Socket.open({ url, board, key }, (frame: Frame) => {
    if (signal.aborted || frame['id'] !== 'log') return;
    if (frame.type === 'events')
      onSighting({ events: frame['events'] as Event[], cursor: String(frame['cursor']) });
    else if (frame.type === 'bookmark') onSighting({ events: [], cursor: String(frame['cursor']) });
    else if (frame.type === 'error') {
      if (frame['code'] === EXPIRED) onExpired?.();
      // The watch is over, whatever it was.
      socket?.terminate();
    }
  });
  if (socket === null) return;
  socket.send({ type: 'watch', id: 'log', after });
  const cut = (): void => socket.terminate();
  if (signal.aborted) cut();
  signal.addEventListener('abort', cut, { once: true });
  await socket.closed;
}

export async function pollOnce(connection: WatchConnection, eventsMax = POLL_EVENTS_MAX): Promise<void> {
  const { url, board, key, after, signal, onSighting, onExpired } = connection;
  const answer = await call({
    url,
    method: 'GET',
    path: `/v1/boards/${board}/events?after=${encodeURIComponent(after)}&limit=${eventsMax}`,
    key,
    headers: { Prefer: `wait=${POLL_WAIT_SECONDS}` },
    timeoutMs: POLL_TIMEOUT_MS,
    signal,
  });
  const { events, cursor } = answer.body as { events?: Event[]; cursor?: string };
  if (answer.ending === 'ok' && events !== undefined && cursor !== undefined) onSighting({ events, cursor });
  else if (answer.code === EXPIRED) onExpired?.();
}

export async function watchByStream(connection: WatchConnection): Promise<void> {
  const { url, board, key, after, signal, onSighting, onExpired } = connection;
  const silence = new AbortController();
  const timer = setTimeout(() => silence.abort(), STREAM_SILENT_MS);
  const isResumed = after !== 'start';
  try {
    const response = await fetch(`${url}/v1/boards/${board}/events${isResumed ? '' : '?after=start'}`, {
      headers: {
        Authorization: `Bearer ${key}`,
        Accept: 'text/event-stream',
        ...(isResumed ? { 'Last-Event-ID': after } : {}),
      },
      signal: AbortSignal.any([signal, silence.signal]),
    });
    if (!response.ok || response.body === null) {
      const { code } = problemOf((await response.json()) as Body);
      if (code === EXPIRED) onExpired?.();
      return;
    }
    let text = '';
    const decoder = new TextDecoder();
    for await (const chunk of response.body) {
      timer.refresh();
      text += decoder.decode(chunk, { stream: true });
      const blocks = text.split('\n\n');
      text = blocks.pop() ?? '';
      const events = blocks.flatMap(readEvent);
      if (events.length > 0 && !signal.aborted) onSighting({ events });
    }
  } catch {
    // Cut, by somebody or by ourselves.
  } finally {
    clearTimeout(timer);
  }
}

/** Nothing for a comment. */
function readEvent(block: string): Event[] {
  const data = block
    .split('\n')
    .filter((line) => line.startsWith('data:'))
    .map((line) => line.slice('data:'.length).trim())
    .join('\n');
  if (data === '') return [];
  const parsed = JSON.parse(data) as Event | { readonly seq?: undefined };
  return parsed.seq === undefined ? [] : [parsed as Event];
}
