/** Who has it now, for how long yet, and when it was last heard. */
import type { ReactNode } from 'react';
import type { Event, Task } from '../../client/index.ts';
import type { CardClaim } from '../live/card.ts';
import { CopyButton } from '../ui/copy-button.tsx';
import { LeaseCountdown } from '../ui/lease-countdown.tsx';
import { ProgressBar } from '../ui/progress-bar.tsx';
import { Ago, clockDuration, useSecondsUntil } from '../ui/time.tsx';
import { type HolderSigns, heardAtMs } from './holder-signs.ts';
import { Fact } from './task-facts.tsx';
import { LaneLink } from './task-links.tsx';
import { TaskPanel } from './task-panel.tsx';
import { useHolderSigns } from './use-holder-signs.ts';

type Claim = NonNullable<Task['claim']>;

interface ClaimPanelProps {
  readonly claim: Claim;
  /** Of the task: the newest ones, oldest first. */
  readonly events: readonly Event[];
  /** The same claim as the live board knows it: newer, if it is the same run. */
  readonly live: CardClaim | null;
}

export function ClaimPanel({ claim, events, live }: ClaimPanelProps): ReactNode {
  const signs = useHolderSigns(events, claim.run_id);
  // Of the claim itself is newer: not every sign of life stands in the log.
  const progress = claim.progress ?? signs.progress;
  const isSame = live?.runId === claim.run_id;
  const readMs = Date.parse(claim.lease_expires_at);
  const expiresAtMs = isSame ? Math.max(readMs, live.leaseExpiresAtMs) : readMs;
  const heardMs = heardAtMs(signs, expiresAtMs);
  const isCancelled = claim.cancel_requested || (isSame && live.isCancelRequested);
  return (
    <TaskPanel title="Who has it">
      <dl className="facts">
        <Fact name="Owner">
          <LaneLink lane={claim.lane} /> · worker <strong>{claim.worker}</strong>
        </Fact>
        <Fact name="Attempt">{claim.attempt}</Fact>
        <Fact name="Run">
          <span className="mono">{claim.run_id}</span> <CopyButton text={claim.run_id} label="Copy run id" />
        </Fact>
        <Fact name="Claimed">
          <Ago at={claim.claimed_at} />
        </Fact>
        <Fact name="Lease">
          <LeaseCountdown expiresAtMs={expiresAtMs} sinceMs={heardMs ?? Date.parse(claim.claimed_at)} />
        </Fact>
        <Fact name="Last heard">{heardMs === null ? 'not yet' : <Ago at={heardMs} />}</Fact>
        {progress !== null && (
          <Fact name="Progress">
            <ProgressBar value={progress} />
          </Fact>
        )}
        {signs.note !== null && (
          <Fact name="Note">
            <span className="wrap">{signs.note}</span>
          </Fact>
        )}
      </dl>
      {isCancelled && <CancelNotice cancel={signs.cancel} />}
    </TaskPanel>
  );
}

function CancelNotice({ cancel }: { readonly cancel: HolderSigns['cancel'] }): ReactNode {
  return (
    <p className="warning">
      {/* Without the seconds: they would be read out one by one. */}
      <span role="status">It is asked to stop{cancel?.reason ? `: ${cancel.reason}` : ''}.</span>{' '}
      {cancel?.deadlineMs != null && <CancelDeadline atMs={cancel.deadlineMs} />}
    </p>
  );
}

function CancelDeadline({ atMs }: { readonly atMs: number }): ReactNode {
  const seconds = useSecondsUntil(atMs);
  if (seconds <= 0) return 'Its time is over: the claim is being taken.';
  return `The claim is taken in ${clockDuration(seconds)}.`;
}
