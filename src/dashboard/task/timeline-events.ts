/**
 * The events of one task: what was written, page by page, then what comes. Unlike what `useLiveQuery` reads they are not read twice: a log
 * only grows. After everything was read anew they are read on from where they end. Read from the beginning, which the log has an index for:
 * back from its end would mean to look through that of the whole board.
 */
import { useCallback, useEffect, useRef, useState } from 'react';
import type { Client, Event } from '../../client/index.ts';
import { useBoardView, useClient, useEvents } from '../live/live-context.tsx';
import { addNewer, addOlder, EMPTY_LOG, isFull, PIECE_EVENTS, type TimelineLog } from './timeline-log.ts';

export interface TaskEvents {
  readonly log: TimelineLog;
  /** All that was written up to now has been read. */
  readonly isComplete: boolean;
  readonly isReading: boolean;
  readonly error: unknown;
  /** There are more than are read by themselves. */
  readonly readMore: () => void;
  /** A piece of what was cut. */
  readonly readOlder: () => void;
  /** The first event that somebody looks at; null: the end, whatever it is. */
  readonly hold: (seq: number | null) => void;
}

const PAGE_EVENTS = 1000;
/** 100,000 events: a month of a worker that says every 30 s that it lives. More are read when somebody asks for them. */
const PAGES_AT_ONCE = 100;
/** Between the last page and its answer: far more than one task can do in that time. */
const ARRIVED_MAX = 1000;

interface Reading {
  readonly log: TimelineLog;
  readonly isComplete: boolean;
  readonly isReading: boolean;
  readonly error: unknown;
}

const NOTHING: Reading = { log: EMPTY_LOG, isComplete: false, isReading: true, error: null };

/** @param wantedSeq What it stands in is read and kept, however far it is, within bounds. */
export function useTaskEvents(taskId: string, wantedSeq: number | null): TaskEvents {
  const client = useClient();
  const { epoch } = useBoardView();
  const [reading, setReading] = useState<Reading>(NOTHING);
  const [asked, setAsked] = useState(0);
  const cursor = useRef<string | undefined>(undefined);
  const held = useRef<number | null>(null);
  const wanted = useRef(wantedSeq);
  /** What came while the rest was being read: a part of it may be behind the last page. */
  const arrived = useRef<readonly Event[]>([]);
  useEffect(() => {
    wanted.current = wantedSeq;
  });
  const keptFrom = useCallback(() => earlierOf(held.current, wanted.current), []);
  // biome-ignore lint/correctness/useExhaustiveDependencies: `epoch` and `asked` start another reading, which begins where the last ended.
  useEffect(() => {
    const abort = new AbortController();
    const { signal } = abort;
    const onPage = (events: readonly Event[], isComplete: boolean, isOver: boolean): void => {
      const late = isComplete ? arrived.current : [];
      if (isComplete) arrived.current = [];
      const kept = keptFrom();
      setReading((before) => ({
        log: addNewer(addNewer(before.log, events, kept), late, kept),
        isComplete,
        isReading: !isOver,
        error: null,
      }));
    };
    const readOn = async (): Promise<void> => {
      for (let page = 1; ; page += 1) {
        const query = cursor.current === undefined ? {} : { after: cursor.current };
        const answer = await client.tasks.events(taskId, { limit: PAGE_EVENTS, ...query }, { signal });
        signal.throwIfAborted();
        cursor.current = answer.cursor;
        const isComplete = answer.events.length === 0;
        const isOver = isComplete || page >= PAGES_AT_ONCE;
        onPage(answer.events, isComplete, isOver);
        if (isOver) return;
      }
    };
    setReading((before) => ({ ...before, isReading: true }));
    readOn().catch((error: unknown) => {
      if (!signal.aborted) setReading((before) => ({ ...before, isReading: false, error }));
    });
    return () => abort.abort();
  }, [client, taskId, epoch, asked]);
  useEvents((all) => {
    const own = all.filter((event) => event.task_id === taskId);
    if (own.length === 0) return;
    // Behind what has not been read yet they would hide the gap.
    if (!reading.isComplete) arrived.current = [...arrived.current, ...own].slice(-ARRIVED_MAX);
    else setReading((before) => ({ ...before, log: addNewer(before.log, own, keptFrom()) }));
  });
  const readMore = useCallback(() => setAsked((count) => count + 1), []);
  const hold = useCallback((seq: number | null) => {
    held.current = seq;
  }, []);
  const { readOlder, isReadingOlder, olderError } = useOlder(client, taskId, reading.log, (change) =>
    setReading((before) => ({ ...before, log: change(before.log) })),
  );
  const first = reading.log.events[0]?.seq ?? 0;
  const isWantedCut =
    wantedSeq !== null && wantedSeq < first && reading.log.cut.length > 0 && !isFull(reading.log);
  useEffect(() => {
    if (isWantedCut && !isReadingOlder && olderError === null) readOlder();
  }, [isWantedCut, isReadingOlder, olderError, readOlder]);
  const { log, isComplete, isReading, error } = reading;
  return {
    log,
    isComplete,
    isReading: isReading || isReadingOlder,
    error: error ?? olderError,
    readMore,
    readOlder,
    hold,
  };
}

function earlierOf(held: number | null, wanted: number | null): number | null {
  if (held === null || wanted === null) return held ?? wanted;
  return Math.min(held, wanted);
}

interface Older {
  readonly readOlder: () => void;
  readonly isReadingOlder: boolean;
  readonly olderError: unknown;
}

function useOlder(
  client: Client,
  taskId: string,
  log: TimelineLog,
  onChange: (change: (log: TimelineLog) => TimelineLog) => void,
): Older {
  const [state, setState] = useState<{ readonly isReading: boolean; readonly error: unknown }>({
    isReading: false,
    error: null,
  });
  const underWay = useRef<AbortController | null>(null);
  useEffect(() => () => underWay.current?.abort(), []);
  const latest = useRef({ log, onChange });
  useEffect(() => {
    latest.current = { log, onChange };
  });
  const readOlder = useCallback((): void => {
    const { cut, events } = latest.current.log;
    const begin = cut.at(-1);
    if (begin === undefined || (underWay.current !== null && !underWay.current.signal.aborted)) return;
    const abort = new AbortController();
    underWay.current = abort;
    setState({ isReading: true, error: null });
    void readPiece(client, taskId, { begin, beforeSeq: events[0]?.seq ?? 0 }, abort.signal)
      .then((piece) => {
        latest.current.onChange((now) => addOlder(now, begin, piece));
        return null;
      })
      .catch((error: unknown) => error)
      .then((error) => {
        if (abort.signal.aborted) return;
        underWay.current = null;
        setState({ isReading: false, error });
      });
  }, [client, taskId]);
  return { readOlder, isReadingOlder: state.isReading, olderError: state.error };
}

interface Piece {
  readonly begin: string;
  readonly beforeSeq: number;
}

/** A page may be shorter than was asked for: pages are bounded by their bytes too. */
async function readPiece(
  client: Client,
  taskId: string,
  { begin, beforeSeq }: Piece,
  signal: AbortSignal,
): Promise<readonly Event[]> {
  const piece: Event[] = [];
  for await (const event of client.tasks.events(taskId, { after: begin, limit: PIECE_EVENTS }, { signal })) {
    if (event.seq >= beforeSeq || piece.length === PIECE_EVENTS) break;
    piece.push(event);
  }
  return piece;
}
