/** Watches a lane for hints that there is work. Comes back by itself when it is cut. */
import { pause } from './pause.ts';
import { Socket } from './socket.ts';
import type { LoopParts } from './worker-context.ts';

export interface HintSocket {
  /** Resolves at the next hint; at once when there was one since the last time. */
  next(): Promise<void>;
  close(): void;
}

const RECONNECT_MS = [100, 1000] as const;

export function openHints({ context, lane, random }: LoopParts): HintSocket {
  let isHinted = true;
  let isClosed = false;
  let wake: () => void = () => undefined;
  let socket: Socket | null = null;
  const hint = (): void => {
    isHinted = true;
    wake();
  };
  const keepOpen = async (): Promise<void> => {
    while (!isClosed && !context.quiet.aborted) {
      socket = await Socket.open(
        { url: random.pick(context.config.urls), board: context.config.board, key: lane.key },
        (frame) => {
          if (frame.type === 'available') hint();
        },
      );
      // Work that came while nobody listened is hinted at once.
      socket?.send({ type: 'watch', id: 'hints', after: 'now', lanes: [lane.name] });
      await socket?.closed;
      await pause(random.between(...RECONNECT_MS), context.quiet);
    }
  };
  void keepOpen();
  return {
    next: async () => {
      if (!isHinted) {
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
      }
      isHinted = false;
    },
    close: () => {
      isClosed = true;
      socket?.terminate();
    },
  };
}
