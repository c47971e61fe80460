/** What a lane that is opened shows: its workers, what they hold, and its settings. */
import type { ReactNode } from 'react';
import { Link } from 'wouter';
import type { Lane } from '../../client/index.ts';
import type { Card } from '../live/card.ts';
import { useClient } from '../live/live-context.tsx';
import { linkToFilter, linkToTask } from '../shell/links.ts';
import { LeaseCountdown } from '../ui/lease-countdown.tsx';
import { Ago, shortDuration } from '../ui/time.tsx';

interface LaneDetailsProps {
  readonly lane: Lane;
  readonly claims: readonly Card[];
}

export function LaneDetails({ lane, claims }: LaneDetailsProps): ReactNode {
  const { board } = useClient();
  return (
    <div className="lanes-details">
      {lane.description !== null && <p className="lanes-description wrap">{lane.description}</p>}
      <section aria-label={`Workers of ${lane.name}`}>
        <h3>Workers</h3>
        <Workers lane={lane} />
      </section>
      <section aria-label={`Claims of ${lane.name}`}>
        <h3>Held now</h3>
        {claims.length === 0 ? (
          <p className="muted">Nothing is held.</p>
        ) : (
          <ul className="lanes-claims">
            {claims.map((card) => (
              <Claim key={card.id} board={board} card={card} />
            ))}
          </ul>
        )}
        <p className="small">
          <Link href={`~${linkToFilter(board, `lane:${lane.name}`)}`}>Tasks of this lane on the board</Link>
        </p>
      </section>
      <section aria-label={`Settings of ${lane.name}`}>
        <h3>Settings</h3>
        <Settings lane={lane} />
      </section>
    </div>
  );
}

function Workers({ lane: { kind, presence } }: { readonly lane: Lane }): ReactNode {
  if (presence.workers.length === 0)
    return (
      <p className="muted">
        {kind === 'human' ? 'People work here; nobody has to be online.' : 'None has been seen lately.'}
      </p>
    );
  return (
    <ul className="lanes-workers">
      {presence.workers.map(({ worker, version, online, in_flight: inFlight, last_seen_at: seenAt }) => (
        <li key={worker}>
          <span className={online ? 'lanes-worker-on' : 'muted'}>
            <span aria-hidden="true">{online ? '●' : '○'} </span>
            {online ? 'online' : 'offline'}
          </span>
          <span className="lanes-worker-name mono">{worker}</span>
          {version !== undefined && <span className="muted small">{version}</span>}
          <span className="small">{inFlight} in flight</span>
          <span className="muted small">
            seen <Ago at={seenAt} />
          </span>
        </li>
      ))}
    </ul>
  );
}

function Claim({ board, card }: { readonly board: string; readonly card: Card }): ReactNode {
  const { claim } = card;
  return (
    <li>
      <Link className="lanes-claim-title" href={`~${linkToTask(board, card.id)}`}>
        {card.title}
      </Link>
      {claim !== null && (
        <>
          <span className="mono small">{claim.worker}</span>
          <span className="small">attempt {card.attempt}</span>
          <span className="muted small">
            for <Ago at={claim.claimedAtMs} suffix="" />
          </span>
          <span className="small">
            lease <LeaseCountdown expiresAtMs={claim.leaseExpiresAtMs} sinceMs={claim.claimedAtMs} />
          </span>
          {claim.isCancelRequested && <span className="danger-text small">asked to stop</span>}
          {claim.note !== null && <span className="muted small lanes-claim-note">{claim.note}</span>}
        </>
      )}
    </li>
  );
}

function Settings({ lane }: { readonly lane: Lane }): ReactNode {
  const limit = (seconds: number | null): string => (seconds === null ? 'none' : shortDuration(seconds));
  const labels = Object.entries(lane.labels);
  return (
    <dl className="facts">
      <dt>Kind</dt>
      <dd>{lane.kind}</dd>
      <dt>Claim mode</dt>
      <dd>{lane.claim_mode}</dd>
      <dt>May change</dt>
      <dd>{lane.allowed_status_mutations === 'none' ? 'nothing' : 'what it has claimed'}</dd>
      <dt>Claims at once</dt>
      <dd>{lane.max_concurrent_claims ?? 'no limit'}</dd>
      <dt>Lease</dt>
      <dd>{lane.lease_seconds} s</dd>
      <dt>No progress</dt>
      <dd>{limit(lane.no_progress_seconds)}</dd>
      <dt>Run time</dt>
      <dd>{limit(lane.max_runtime_seconds)}</dd>
      {lane.spawn !== null && (
        <>
          <dt>Starts</dt>
          <dd className="mono">{lane.spawn.argv.join(' ')}</dd>
        </>
      )}
      <dt>Labels</dt>
      <dd>{labels.length === 0 ? 'none' : labels.map(([key, value]) => `${key}: ${value}`).join(', ')}</dd>
      <dt>Epoch</dt>
      <dd>
        {lane.epoch} <span className="muted small">(rises with each takeover)</span>
      </dd>
      <dt>Changed</dt>
      <dd>
        <Ago at={lane.updated_at} /> <span className="muted small">version {lane.version}</span>
      </dd>
    </dl>
  );
}
