/** The board: every task in the column of its status, moved by the log. */
import { type ReactNode, useCallback, useLayoutEffect, useMemo, useRef, useState } from 'react';
import { useLocation } from 'wouter';
import type { Card, TaskStatus } from '../live/card.ts';
import { useBoardView, useClient, useLiveBoard } from '../live/live-context.tsx';
import { useSession } from '../session/session-context.tsx';
import { firstCommands } from '../shell/first-commands.ts';
import { actionOfDrop, type TaskAction } from '../task/actions.ts';
import { usePerformTaskAction } from '../task/use-task-action.ts';
import { Button } from '../ui/button.tsx';
import { EmptyState } from '../ui/empty-state.tsx';
import { PageHeader } from '../ui/page-header.tsx';
import { actOnCard } from './act-on-card.ts';
import { type BoardAddress, useBoardAddress } from './address.ts';
import { offersFor } from './bulk.ts';
import { BulkBar } from './bulk-bar.tsx';
import { type Bulk, useBulk } from './bulk-context.tsx';
import { CardMenu, type OpenMenu } from './card-menu.tsx';
import { Column } from './column.tsx';
import { ColumnTabs } from './column-tabs.tsx';
import { Desk } from './desk.ts';
import { type CardHandlers, CardHandlersProvider, useCardHandlers, useDesk } from './desk-context.tsx';
import { FilterBox } from './filter-box.tsx';
import { MovementSummary } from './movement-summary.tsx';
import { NewTaskDialog } from './new-task-dialog.tsx';
import { PauseBoard } from './pause-board.tsx';
import type { ShownColumn } from './places.ts';
import { BoardSettings } from './settings/board-settings.tsx';
import { type ShownBoard, useShownBoard } from './shown-columns.ts';
import { useBoardKeys } from './use-board-keys.ts';
import { useArchived, useClosing, useColumnOfPlace, useSettledDesk } from './use-columns.ts';
import { usePhone } from './use-phone.ts';
import './board.css';

type ChangeAddress = (change: Partial<BoardAddress>) => void;

export function BoardPage(): ReactNode {
  const [desk] = useState(() => new Desk());
  const [menu, setMenu] = useState<OpenMenu | null>(null);
  const closeMenu = useCallback(() => setMenu(null), []);
  const columns = useRef<readonly ShownColumn[]>([]);
  const bulk = useBulk();
  const handlers = useHandlers(desk, columns, bulk, setMenu);
  return (
    <CardHandlersProvider value={handlers}>
      <BoardBody columnsRef={columns} bulk={bulk} />
      {menu !== null && <CardMenu key={menu.id} open={menu} onClose={closeMenu} />}
      <MovementSummary />
    </CardHandlersProvider>
  );
}

function useHandlers(
  desk: Desk,
  columns: { readonly current: readonly ShownColumn[] },
  bulk: Bulk,
  setMenu: (menu: OpenMenu) => void,
): CardHandlers {
  const board = useLiveBoard();
  const { may } = useSession();
  const perform = usePerformTaskAction();
  const act = useCallback(
    (action: TaskAction, card: Card): void => void actOnCard(desk, perform, action, card),
    [desk, perform],
  );
  const { start } = bulk;
  return useMemo<CardHandlers>(
    () => ({
      desk,
      act,
      drop: (card: Card, target: TaskStatus) => {
        const action = actionOfDrop(card.status, target, may);
        if (action === undefined) return;
        const { selected } = desk.read();
        if (selected.size < 2 || !selected.has(card.id)) return act(action, card);
        const offer = offersFor(cardsOf(selected, board.card.bind(board)), may).find(
          (each) => each.action.name === action.name,
        );
        if (offer === undefined) act(action, card);
        else void start(offer, selected.size);
      },
      openMenu: ({ id }, anchor) => setMenu({ id, anchor }),
      cardsOf: (status) => columns.current.find((column) => column.status === status)?.cards ?? [],
    }),
    [desk, act, start, board, may, columns, setMenu],
  );
}

function cardsOf(ids: Iterable<string>, read: (id: string) => Card | undefined): Card[] {
  return [...ids].flatMap((id) => read(id) ?? []);
}

interface BoardBodyProps {
  readonly columnsRef: { current: readonly ShownColumn[] };
  readonly bulk: Bulk;
}

function BoardBody({ columnsRef, bulk }: BoardBodyProps): ReactNode {
  const [address, changeAddress] = useBoardAddress();
  const shown = useShownBoard(address);
  const { counts, epoch, isTruncated } = useBoardView();
  const [isCreating, setCreating] = useState(false);
  const isEmpty = counts !== null && Object.values(counts).every((count) => count === 0);
  const openNewTask = useCallback(() => setCreating(true), []);
  return (
    <div className="board">
      <BoardHeader address={address} onChange={changeAddress} onNewTask={openNewTask} />
      {isTruncated && (
        <p className="warning" role="status">
          This board has more than 10,000 unfinished tasks. The counts are exact; the columns show the first
          10,000.
        </p>
      )}
      {isEmpty ? (
        <EmptyBoard />
      ) : (
        <>
          <FilterBox query={address.query} shown={shown} onQuery={(query) => changeAddress({ query })}>
            <SelectMatching shown={shown} />
          </FilterBox>
          {epoch === 0 ? (
            <p className="centered muted">Loading …</p>
          ) : (
            <Columns shown={shown} address={address} onChange={changeAddress} columnsRef={columnsRef} />
          )}
        </>
      )}
      <Selection bulk={bulk} />
      <Keys columnsRef={columnsRef} onNewTask={openNewTask} />
      {isCreating && <NewTaskDialog onClose={() => setCreating(false)} />}
    </div>
  );
}

interface BoardHeaderProps {
  readonly address: BoardAddress;
  readonly onChange: ChangeAddress;
  readonly onNewTask: () => void;
}

function BoardHeader({ address, onChange, onNewTask }: BoardHeaderProps): ReactNode {
  const { board } = useClient();
  const { title } = useBoardView();
  const { may } = useSession();
  return (
    <PageHeader title={title ?? board}>
      <label className="board-archived small">
        <input
          type="checkbox"
          checked={address.showsArchived}
          onChange={(event) => onChange({ showsArchived: event.target.checked })}
        />{' '}
        Archived
      </label>
      {may.administer && <PauseBoard />}
      <BoardSettings />
      {may.operate && (
        <Button tone="primary" onClick={onNewTask} title="New task (n)">
          New task
        </Button>
      )}
    </PageHeader>
  );
}

function EmptyBoard(): ReactNode {
  const { board } = useClient();
  return (
    <EmptyState title="Nothing to do yet" commands={firstCommands(board)}>
      <p>A lane takes work in, a task is a piece of it, and a worker does what its lane is given.</p>
    </EmptyState>
  );
}

function SelectMatching({ shown }: { readonly shown: ShownBoard }): ReactNode {
  const { desk } = useCardHandlers();
  const { may } = useSession();
  if (!may.operate || shown.filter.isEmpty || shown.matching === 0) return null;
  const all = (): string[] => shown.columns.flatMap(({ cards }) => cards.map(({ id }) => id));
  return (
    <Button size="small" onClick={() => desk.add(all())}>
      Select all {shown.matching.toLocaleString()}
    </Button>
  );
}

/** Its own part, so that a change of the selection draws the bar and not the board. */
function Selection({ bulk }: { readonly bulk: Bulk }): ReactNode {
  const board = useLiveBoard();
  useBoardView();
  const { desk } = useCardHandlers();
  const { selected } = useDesk();
  return (
    <BulkBar
      cards={cardsOf(selected, (id) => board.card(id))}
      bulk={bulk}
      onStart={(offer) => void bulk.start(offer, selected.size)}
      onClear={() => desk.clear()}
    />
  );
}

interface KeysProps {
  readonly columnsRef: { current: readonly ShownColumn[] };
  readonly onNewTask: () => void;
}

function Keys({ columnsRef, onNewTask }: KeysProps): ReactNode {
  const { desk, openMenu } = useCardHandlers();
  const [, navigate] = useLocation();
  useBoardKeys({
    desk,
    columns: columnsRef,
    openTask: (id) => navigate(`/tasks/${encodeURIComponent(id)}`),
    openMenu,
    openNewTask: onNewTask,
  });
  return null;
}

interface ColumnsProps {
  readonly shown: ShownBoard;
  readonly address: BoardAddress;
  readonly onChange: ChangeAddress;
  readonly columnsRef: { current: readonly ShownColumn[] };
}

/** What a phone shows when the address names no column: where work happens. */
const FIRST_ON_PHONE: TaskStatus = 'running';

function Columns({ shown, address, onChange, columnsRef }: ColumnsProps): ReactNode {
  const { counts } = useBoardView();
  const isPhone = usePhone();
  const onPhone = address.column ?? FIRST_ON_PHONE;
  const visible = isPhone
    ? shown.columns
        .filter(({ status }) => status === onPhone)
        .map((column) => ({ ...column, isClosed: false }))
    : shown.columns;
  useLayoutEffect(() => {
    columnsRef.current = isPhone
      ? shown.columns.map((column) => ({ ...column, isClosed: false }))
      : shown.columns;
  });
  const root = useSettledDesk(columnsRef);
  useColumnOfPlace(isPhone, onPhone, onChange);
  const onClose = useClosing(address, onChange);
  useArchived(address.showsArchived);
  const isFiltered = !shown.filter.isEmpty;
  return (
    <>
      {isPhone && (
        <ColumnTabs
          columns={shown.columns}
          counts={counts}
          isFiltered={isFiltered}
          chosen={onPhone}
          onChoose={(column) => onChange({ column })}
        />
      )}
      <div {...root} className="board-columns">
        {visible.map(({ status, cards, isClosed }) => (
          <Column
            key={status}
            status={status}
            cards={cards}
            total={counts?.[status] ?? null}
            isFiltered={isFiltered}
            isClosed={isClosed}
            onClose={onClose}
          />
        ))}
      </div>
    </>
  );
}
