/** What the columns do together: keep the keyboard's place while cards move, open and close, fetch what is shown only when asked for. */
import { type FocusEvent, type RefObject, useCallback, useEffect, useLayoutEffect, useRef } from 'react';
import type { TaskStatus } from '../live/card.ts';
import { useLiveBoard } from '../live/live-context.tsx';
import { useNotify } from '../ui/notices.tsx';
import type { BoardAddress } from './address.ts';
import { useCardHandlers, useDesk } from './desk-context.tsx';
import { firstPlace, type ShownColumn } from './places.ts';

type ChangeAddress = (change: Partial<BoardAddress>) => void;

interface RootProps {
  readonly ref: RefObject<HTMLDivElement | null>;
  readonly onFocusCapture: () => void;
  readonly onBlurCapture: (event: FocusEvent) => void;
}

/** Goes on the element around the columns. */
export function useSettledDesk(columns: RefObject<readonly ShownColumn[]>): RootProps {
  const board = useLiveBoard();
  const { desk } = useCardHandlers();
  const { place, dragged } = useDesk();
  const root = useRef<HTMLDivElement>(null);
  const hadFocus = useRef(false);
  // After every drawing: cards may have moved. An element that is taken away blurs without React's telling, so the focus is then nowhere.
  useLayoutEffect(() => {
    const hasLostFocus = (): boolean => hadFocus.current && document.activeElement === document.body;
    desk.settle(columns.current, (id) => board.card(id), hasLostFocus);
    if (desk.read().place === null) desk.stand(firstPlace(columns.current), false);
  });
  // A card that moves while it is dragged takes the end of the dragging with it.
  useEffect(() => {
    if (dragged === null) return;
    const onMove = ({ buttons }: PointerEvent): void => {
      if (buttons === 0) desk.drag(null);
    };
    document.addEventListener('pointermove', onMove);
    return () => document.removeEventListener('pointermove', onMove);
  }, [desk, dragged]);
  // The column of the keyboard is in sight.
  useEffect(() => {
    if (place === null || !hadFocus.current) return;
    root.current
      ?.querySelector(`[data-column="${place.status}"]`)
      ?.scrollIntoView({ inline: 'nearest', block: 'nearest' });
  }, [place]);
  return {
    ref: root,
    onFocusCapture: () => {
      hadFocus.current = true;
    },
    onBlurCapture: ({ relatedTarget }) => {
      hadFocus.current = relatedTarget instanceof Node && root.current?.contains(relatedTarget) === true;
    },
  };
}

/** On a phone the keyboard takes the shown column along. */
export function useColumnOfPlace(isPhone: boolean, shown: TaskStatus, onChange: ChangeAddress): void {
  const { place, focusRequest } = useDesk();
  const served = useRef(0);
  useEffect(() => {
    if (served.current === focusRequest) return;
    served.current = focusRequest;
    if (isPhone && place !== null && place.status !== shown) onChange({ column: place.status });
  }, [isPhone, place, focusRequest, shown, onChange]);
}

export function useClosing(
  { closed, opened }: BoardAddress,
  onChange: ChangeAddress,
): (status: TaskStatus, isClosed: boolean) => void {
  return useCallback(
    (status, isClosed) => {
      const others = (from: ReadonlySet<TaskStatus>): Set<TaskStatus> =>
        new Set([...from].filter((each) => each !== status));
      onChange({
        closed: isClosed ? new Set([...closed, status]) : others(closed),
        opened: isClosed ? others(opened) : new Set([...opened, status]),
      });
    },
    [closed, opened, onChange],
  );
}

/** Archived tasks are read when somebody looks at them. */
export function useArchived(isShown: boolean): void {
  const board = useLiveBoard();
  const notify = useNotify();
  useEffect(() => {
    if (isShown && board.hasOlder('archived') && board.column('archived').length === 0)
      board.readOlder('archived').catch((error: unknown) => notify.problem('Archived tasks', error));
  }, [isShown, board, notify]);
}
