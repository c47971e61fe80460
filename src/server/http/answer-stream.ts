/**
 * An answer without an end: text that goes out as it comes, for as long as the client stays. It bounds what lies unsent and says since
 * when nothing has moved; to give up is for whoever writes. It must never become the place where text waits: the writer keeps its own
 * position, and goes on from there when there is room. Node's idle timer of the connection would not do: what the client sends starts it
 * anew, so one that only sends, and never reads, would stay.
 */
import type { ServerResponse } from 'node:http';
import { CLOSE_MS_MAX } from '../kernel/peer-patience.ts';
import { onceClosed } from './once-closed.ts';

export interface AnswerStream {
  readonly isOpen: boolean;
  /** False: much lies unsent; the text was not taken, and nothing more should be sent until onWritable. */
  send(text: string | Uint8Array): boolean;
  onWritable(listener: () => void): void;
  /** Calls back once; at once when the stream has closed already. */
  onClose(listener: () => void): void;
  /** Milliseconds for which something has lain unsent and nothing has gone out; 0: nothing lies unsent. */
  stalledMs(): number;
  /** Ends the answer behind what was sent. A client that does not read that much is cut off. */
  end(): void;
}

/**
 * Beyond this nothing more is taken; so a stream holds this much and one text, which for events is 128 Ki characters. Above what Node buffers before it asks to wait (16 KiB,
 * in later releases 64 KiB): being full means that a drain will be told.
 */
const UNSENT_BYTES_MAX = 128 * 1024;

/** The head has been written. A response that is over, such as that to a HEAD, is a stream that has closed. */
export function openAnswerStream(outgoing: ServerResponse): AnswerStream {
  let isOpen = !(outgoing.destroyed || outgoing.writableEnded || outgoing.req.socket.destroyed);
  let isEnding = false;
  let unsentTexts = 0;
  let movedAt = 0;
  let endTimer: NodeJS.Timeout | undefined;
  const closeListeners: (() => void)[] = [];
  const onMoved = (): void => {
    unsentTexts -= 1;
    movedAt = performance.now();
  };
  if (isOpen)
    onceClosed(outgoing, () => {
      isOpen = false;
      clearTimeout(endTimer);
      for (const listener of closeListeners) listener();
    });
  return {
    get isOpen() {
      return isOpen && !isEnding;
    },
    send: (text) => {
      if (!isOpen || isEnding) return true;
      if (outgoing.writableLength >= UNSENT_BYTES_MAX) return false;
      if (unsentTexts === 0) movedAt = performance.now();
      unsentTexts += 1;
      outgoing.write(text, onMoved);
      return true;
    },
    onWritable: (listener) => {
      outgoing.on('drain', listener);
    },
    onClose: (listener) => {
      if (isOpen) closeListeners.push(listener);
      else listener();
    },
    stalledMs: () => (unsentTexts === 0 ? 0 : performance.now() - movedAt),
    end: () => {
      if (!isOpen || isEnding) return;
      isEnding = true;
      outgoing.end();
      endTimer = setTimeout(() => outgoing.destroy(), CLOSE_MS_MAX);
    },
  };
}
