/**
 * The output of a task as the page has it: what is kept of it, then what is printed. Whenever the socket is back the tail is read again, so that
 * numbers, not connections, decide what is missing. What comes is put together once a frame, however fast a worker prints.
 */
import { useEffect, useRef, useState } from 'react';
import type { OutputFrame } from '../../client/index.ts';
import { useClient } from '../live/live-context.tsx';
import { paint } from '../live/paint.ts';
import { useSession } from '../session/session-context.tsx';
import { LINES_KEPT, OutputBuffer, type OutputLine } from './output-buffer.ts';

export interface TaskOutput {
  readonly lines: readonly OutputLine[];
  readonly isRead: boolean;
  /** Told that lines were lost, and none has come since. */
  readonly lostAtEnd: number;
  readonly error: unknown;
}

const NOTHING: TaskOutput = { lines: [], isRead: false, lostAtEnd: 0, error: null };
/** What a socket had no room for may still be kept: it is looked up at most so often. */
const REREAD_MS = 1000;

/** @param isLive Somebody may print. */
export function useTaskOutput(taskId: string, isLive: boolean): TaskOutput {
  const client = useClient();
  const { clock } = useSession();
  const [output, setOutput] = useState(NOTHING);
  const buffer = useRef({ taskId, buffer: new OutputBuffer() });
  useEffect(() => {
    if (buffer.current.taskId !== taskId) {
      buffer.current = { taskId, buffer: new OutputBuffer() };
      setOutput(NOTHING);
    }
    const held = buffer.current.buffer;
    const abort = new AbortController();
    const { signal } = abort;
    let waiting: OutputLine[] = [];
    let lostAtEnd = 0;
    let reread: ReturnType<typeof setTimeout> | undefined;
    const drawing = paint(() => {
      held.add(waiting);
      waiting = [];
      setOutput((before) => ({ ...before, lines: held.lines, lostAtEnd }));
    });
    const readTail = async (): Promise<void> => {
      try {
        const { lines } = await client.tasks.output(taskId, { signal });
        held.add(waiting);
        waiting = [];
        held.add(
          lines.map(({ number, run_id: runId, at, text }) => ({ number, runId, atMs: Date.parse(at), text })),
        );
        setOutput({ lines: held.lines, isRead: true, lostAtEnd, error: null });
      } catch (error) {
        if (!signal.aborted) setOutput((before) => ({ ...before, isRead: true, error }));
      }
    };
    const onOutput = ({ lines, number, run_id: runId, dropped }: OutputFrame): void => {
      const atMs = clock.now();
      if (number !== undefined)
        for (const [index, text] of lines.entries())
          waiting.push({ number: number + index, runId, atMs, text });
      // Nothing is drawn while nobody looks, for as long as that may be.
      if (waiting.length > LINES_KEPT) waiting = waiting.slice(-LINES_KEPT);
      lostAtEnd = lines.length > 0 ? 0 : lostAtEnd + (dropped ?? 0);
      if (dropped !== undefined)
        reread ??= setTimeout(() => {
          reread = undefined;
          void readTail();
        }, REREAD_MS);
      drawing.request();
    };
    const follow = async (): Promise<void> => {
      const watch = client.watch(
        {
          tasks: [taskId],
          // Its events are followed elsewhere.
          kinds: ['task.deleted'],
          onOutput,
          onState: (state) => {
            if (state === 'live') void readTail();
          },
        },
        signal,
      );
      for await (const _ of watch) drawing.request();
    };
    if (isLive)
      follow().catch((error: unknown) => {
        if (!signal.aborted) setOutput((before) => ({ ...before, error }));
      });
    else void readTail();
    return () => {
      abort.abort();
      clearTimeout(reread);
      drawing.cancel();
      held.add(waiting);
    };
  }, [client, clock, taskId, isLive]);
  return output;
}
