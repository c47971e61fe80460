/**
 * Every lane of the board: who is there, what they hold, what waits. Only what is wrong is loud. Filter and order stand in the address, and
 * the lane that is opened behind its "#".
 */
import { type ReactNode, useRef, useState } from 'react';
import { useShortcut } from '../keyboard/shortcuts.tsx';
import type { Card } from '../live/card.ts';
import { useClient } from '../live/live-context.tsx';
import { useSession } from '../session/session-context.tsx';
import { type AddressFields, useAddressFields } from '../shell/address-fields.ts';
import { firstCommands } from '../shell/first-commands.ts';
import { Button } from '../ui/button.tsx';
import { EmptyState } from '../ui/empty-state.tsx';
import { PageHeader } from '../ui/page-header.tsx';
import { Problem } from '../ui/problem.tsx';
import { LaneFormDialog } from './lane-form-dialog.tsx';
import { LaneRow } from './lane-row.tsx';
import { isMatching, LANE_ORDERS, type LaneOrder, orderOf, problemsOf, sortLanes } from './lane-state.ts';
import { useOpenLane } from './open-lane.ts';
import { type LaneStats, type ShownLanes, useLaneStats, useLanes } from './use-lanes.ts';
import './lanes.css';

const ORDER_LABELS: Readonly<Record<LaneOrder, string>> = {
  name: 'by name',
  backlog: 'most ready first',
  age: 'longest wait first',
};

const NO_CLAIMS: readonly Card[] = [];

export function LanesPage(): ReactNode {
  const shown = useLanes();
  const stats = useLaneStats();
  const { may } = useSession();
  const [registering, setRegistering] = useState<string | null>(null);
  const [, open] = useOpenLane();
  return (
    <>
      <PageHeader title="Lanes">
        <Toolbar />
        {may.operate && (
          <Button tone="primary" onClick={() => setRegistering('')}>
            Register a lane
          </Button>
        )}
      </PageHeader>
      <Problem error={shown.error} />
      <UnknownLanes unknown={shown.unknown} onRegister={may.operate ? setRegistering : null} />
      <LaneList shown={shown} stats={stats} />
      {registering !== null && (
        <LaneFormDialog
          initialName={registering}
          onClose={() => setRegistering(null)}
          onSaved={(lane) => {
            setRegistering(null);
            shown.reread();
            open(lane);
          }}
        />
      )}
    </>
  );
}

function useAddress(): {
  readonly filter: string;
  readonly order: LaneOrder;
  readonly change: (changes: AddressFields) => void;
} {
  const [read, change] = useAddressFields();
  return { filter: read('q'), order: orderOf(read('sort')), change };
}

function Toolbar(): ReactNode {
  const { filter, order, change } = useAddress();
  const box = useRef<HTMLInputElement>(null);
  useShortcut({ keys: '/', label: 'Filter lanes', group: 'View', act: () => box.current?.focus() });
  return (
    <>
      <input
        ref={box}
        type="search"
        className="lanes-filter"
        aria-label="Filter lanes"
        placeholder="Filter: name, label, worker, state"
        value={filter}
        onChange={(event) => change({ q: event.target.value })}
        onKeyDown={(event) => {
          if (event.key === 'Escape') box.current?.blur();
        }}
      />
      <select
        aria-label="Order of lanes"
        value={order}
        onChange={(event) => change({ sort: event.target.value === 'name' ? '' : event.target.value })}
      >
        {LANE_ORDERS.map((each) => (
          <option key={each} value={each}>
            {ORDER_LABELS[each]}
          </option>
        ))}
      </select>
    </>
  );
}

interface LaneListProps {
  readonly shown: ShownLanes;
  readonly stats: LaneStats | undefined;
}

function LaneList({ shown, stats }: LaneListProps): ReactNode {
  const { filter, order } = useAddress();
  const [opened, open] = useOpenLane();
  const list = useRef<HTMLUListElement>(null);
  useSteps(list, () => open(''));
  if (shown.isLoading) return <p className="centered muted">Loading …</p>;
  if (shown.error !== null && shown.lanes.length === 0) return null;
  if (shown.lanes.length === 0) return <NoLanes />;
  const lanes = sortLanes(
    shown.lanes.filter((each) => isMatching(each, filter)),
    order,
  );
  return (
    <>
      <Summary shown={shown} matching={lanes.length} />
      <ul ref={list} className="lanes-list">
        {lanes.map(({ lane, load }) => (
          <LaneRow
            key={lane.name}
            lane={lane}
            load={load}
            claims={shown.claims.get(lane.name) ?? NO_CLAIMS}
            throughput={stats === undefined ? undefined : (stats.lanes[lane.name] ?? null)}
            isOpen={opened === lane.name}
            onOpen={open}
            onChanged={shown.reread}
          />
        ))}
      </ul>
    </>
  );
}

/** j and k go from lane to lane; enter is the button's own, and opens it. */
function useSteps(list: { readonly current: HTMLElement | null }, close: () => void): void {
  const step = (by: number): void => {
    const buttons = [...(list.current?.querySelectorAll<HTMLElement>('.lanes-toggle') ?? [])];
    const row = document.activeElement?.closest('.lanes-row');
    const at = buttons.findIndex((button) => row?.contains(button) ?? false);
    const next = at === -1 && by < 0 ? buttons.length - 1 : at + by;
    buttons[Math.max(0, Math.min(buttons.length - 1, next))]?.focus();
  };
  useShortcut({ keys: 'j', label: 'Next lane (enter opens it)', group: 'View', act: () => step(1) });
  useShortcut({ keys: 'k', label: 'Lane before', group: 'View', act: () => step(-1) });
  useShortcut({ keys: 'Escape', label: 'Close the lane', group: 'View', act: close });
}

function Summary({ shown, matching }: { readonly shown: ShownLanes; readonly matching: number }): ReactNode {
  const { clock } = useSession();
  const nowMs = clock.now();
  const wrong = shown.lanes.filter(({ lane, load }) => problemsOf(lane, load, nowMs).length > 0).length;
  const total = shown.lanes.length;
  const count = matching === total ? `${total}` : `${matching} of ${total}`;
  return (
    <p className="muted small lanes-summary" role="status">
      {count} {total === 1 ? 'lane' : 'lanes'}
      {shown.isTruncated && '; there are more than are shown'}
      {wrong > 0 && `, ${wrong} with a problem`}
    </p>
  );
}

function NoLanes(): ReactNode {
  const { board } = useClient();
  return (
    <EmptyState title="No lane is registered yet." commands={firstCommands(board)}>
      <p>A lane is a named line of work; its workers claim the tasks that are given to it.</p>
    </EmptyState>
  );
}

interface UnknownLanesProps {
  readonly unknown: ReadonlyMap<string, number>;
  /** null: this key may not. */
  readonly onRegister: ((lane: string) => void) | null;
}

/** Tasks that wait for a lane that nobody has registered wait for ever. */
function UnknownLanes({ unknown, onRegister }: UnknownLanesProps): ReactNode {
  if (unknown.size === 0) return null;
  return (
    <section className="lanes-unknown" aria-label="Lanes that are not registered">
      <ul>
        {[...unknown].sort().map(([lane, count]) => (
          <li key={lane}>
            <span>
              <span aria-hidden="true">⚠ </span>
              {count === 1 ? '1 task names' : `${count} tasks name`} the lane{' '}
              <strong className="mono">{lane}</strong>, which nobody has registered: nobody can claim there.
            </span>
            {onRegister !== null && (
              <Button size="small" aria-label={`Register ${lane}`} onClick={() => onRegister(lane)}>
                Register
              </Button>
            )}
          </li>
        ))}
      </ul>
    </section>
  );
}
