/** One lane: a line that says how it is, and its details when it is opened. Quiet while it is healthy. */
import { memo, type ReactNode, useEffect, useId, useRef, useState } from 'react';
import type { Card } from '../live/card.ts';
import { useSession } from '../session/session-context.tsx';
import { Problem } from '../ui/problem.tsx';
import { Sparkline } from '../ui/sparkline.tsx';
import { useTick } from '../ui/ticker.ts';
import { Ago } from '../ui/time.tsx';
import { LaneActions } from './lane-actions.tsx';
import { LaneDetails } from './lane-details.tsx';
import { type LoadedLane, problemsOf, stateOf } from './lane-state.ts';
import { LaneStateChip } from './lane-state-chip.tsx';
import type { LaneStats } from './use-lanes.ts';

interface LaneRowProps extends LoadedLane {
  readonly claims: readonly Card[];
  /** Of this lane; null: there is none for it. undefined: not read yet. */
  readonly throughput: Throughput | null | undefined;
  readonly isOpen: boolean;
  /** '' closes it. */
  readonly onOpen: (lane: string) => void;
  readonly onChanged: () => void;
}

type Throughput = LaneStats['lanes'][string];

/** Cards move many times a second; a lane is drawn again only when something of it has changed. What it calls stays the same. */
export const LaneRow = memo(LaneRowOf, isSame);

function isSame(before: LaneRowProps, after: LaneRowProps): boolean {
  return (
    before.lane === after.lane &&
    before.load.ready === after.load.ready &&
    before.load.running === after.load.running &&
    before.load.oldestReadyMs === after.load.oldestReadyMs &&
    before.throughput === after.throughput &&
    before.isOpen === after.isOpen &&
    (!after.isOpen || before.claims === after.claims)
  );
}

function LaneRowOf({ lane, load, claims, throughput, isOpen, onOpen, onChanged }: LaneRowProps): ReactNode {
  const { clock } = useSession();
  const [error, setError] = useState<unknown>(null);
  const detailsId = useId();
  const row = useRef<HTMLLIElement>(null);
  useTick();
  useEffect(() => {
    if (isOpen) row.current?.scrollIntoView({ block: 'nearest' });
  }, [isOpen]);
  const problems = problemsOf(lane, load, clock.now());
  const isAlarming = problems.some(({ tone }) => tone === 'danger');
  return (
    <li ref={row} id={`lane-${lane.name}`} className={isAlarming ? 'lanes-row alarming' : 'lanes-row'}>
      <div className="lanes-line">
        <h2 className="lanes-name">
          <button
            type="button"
            className="lanes-toggle"
            aria-expanded={isOpen}
            aria-controls={detailsId}
            onClick={() => onOpen(isOpen ? '' : lane.name)}
          >
            <span aria-hidden="true">{isOpen ? '▾' : '▸'}</span> {lane.name}
          </button>
        </h2>
        <div className="lanes-state">
          <LaneStateChip state={stateOf(lane, load)} isAlarming={isAlarming} />
        </div>
        <Figures lane={lane} load={load} />
        <ThroughputFigure throughput={throughput} />
        <LaneActions lane={lane} load={load} onProblem={setError} onChanged={onChanged} />
      </div>
      {problems.map(({ tone, text }) => (
        <p key={text} className={`lanes-problem ${tone}`}>
          <span aria-hidden="true">⚠ </span>
          {text}
        </p>
      ))}
      <Problem error={error} />
      <div id={detailsId} hidden={!isOpen}>
        {isOpen && <LaneDetails lane={lane} claims={claims} />}
      </div>
    </li>
  );
}

function Figures({ lane, load }: LoadedLane): ReactNode {
  const { presence, max_concurrent_claims: most, kind } = lane;
  const online = presence.workers.filter((worker) => worker.online).length;
  const workers = kind === 'human' ? 'people' : `${online} of ${presence.workers.length}`;
  return (
    <dl className="lanes-figures">
      <div>
        <dt>Workers</dt>
        <dd>{workers}</dd>
      </div>
      <div>
        <dt>In flight</dt>
        <dd>
          {load.running}
          {most !== null && <span className="muted"> / {most}</span>}
        </dd>
      </div>
      <div>
        <dt>Ready</dt>
        <dd>{load.ready}</dd>
      </div>
      <div>
        <dt>Oldest</dt>
        <dd>{load.oldestReadyMs === null ? '–' : <Ago at={load.oldestReadyMs} suffix="" />}</dd>
      </div>
    </dl>
  );
}

const sum = (values: readonly number[]): number => values.reduce((total, value) => total + value, 0);

function ThroughputFigure({ throughput }: { readonly throughput: Throughput | null | undefined }): ReactNode {
  if (throughput === undefined) return <div className="lanes-throughput" />;
  const completed = sum(throughput?.completed ?? []);
  const claims = sum(throughput?.claims ?? []);
  return (
    <div className="lanes-throughput">
      <Sparkline
        values={throughput?.completed ?? []}
        label={`Last hour: ${completed} completed, ${claims} claimed`}
      />
      <span className="muted small" aria-hidden="true">
        {completed} done/h
      </span>
    </div>
  );
}
