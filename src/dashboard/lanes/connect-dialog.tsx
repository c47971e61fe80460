/** "Connect a worker": a key of the lane, and what to type with it. The key is kept nowhere: it is gone when the dialog closes. */
import { type FormEvent, type ReactNode, useState } from 'react';
import type { Lane, ReplyOf } from '../../client/index.ts';
import { endText, endWarning, writtenTime } from '../keys/key-end.ts';
import { useClient } from '../live/live-context.tsx';
import { useSession } from '../session/session-context.tsx';
import { Button } from '../ui/button.tsx';
import { Dialog } from '../ui/dialog.tsx';
import { TextField } from '../ui/field.tsx';
import { Problem } from '../ui/problem.tsx';
import { SecretOnce } from '../ui/secret-once.tsx';
import { Snippet } from '../ui/snippet.tsx';
import { type Tab, Tabs } from '../ui/tabs.tsx';
import {
  claimSnippet,
  curlSnippet,
  keySnippet,
  mcpCommands,
  mcpHttpSnippet,
  mcpStdioSnippet,
  SECRET_PLACEHOLDER,
  type SnippetSubject,
  sdkSnippet,
  workSnippet,
} from './snippets.ts';

interface ConnectDialogProps {
  readonly lane: Lane;
  readonly onClose: () => void;
}

type Issued = ReplyOf<'createLaneKey'>;

export function ConnectDialog({ lane, onClose }: ConnectDialogProps): ReactNode {
  const { board } = useClient();
  const { may, key: issuer } = useSession();
  const [issued, setIssued] = useState<Issued | null>(null);
  const subject: SnippetSubject = {
    url: location.origin,
    board,
    lane: lane.name,
    secret: issued?.secret,
    leaseSeconds: lane.lease_seconds,
  };
  return (
    <Dialog title={`Connect a worker to ${lane.name}`} onClose={onClose} isWide>
      <Hindrance lane={lane} />
      {issued !== null && <SecretOnce label={`Key of the lane ${lane.name}`} secret={issued.secret} />}
      {issued !== null && <p>{endText(issued.key, issuer, writtenTime)}</p>}
      {issued === null && may.administer && <IssueKey lane={lane.name} onIssued={setIssued} />}
      {issued === null && !may.administer && (
        <p className="dialog-text">
          Put a key of this lane where <code>{SECRET_PLACEHOLDER}</code> stands. An admin issues one here, or
          with <code>lanekeeper lane key {lane.name}</code>.
        </p>
      )}
      <Tabs label="Ways to connect" tabs={tabsOf(subject, lane)} />
      <div className="dialog-buttons">
        <Button onClick={onClose}>Close</Button>
      </div>
    </Dialog>
  );
}

/** Why a worker would be refused or would wait for ever, said before it is tried. */
function Hindrance({ lane }: { readonly lane: Lane }): ReactNode {
  const text = hindranceOf(lane);
  return text === null ? null : <p className="warning">{text}</p>;
}

function hindranceOf({ kind, allowed_status_mutations: mutations, paused, draining }: Lane): string | null {
  if (kind === 'human') return 'This lane is for people: workers may not claim here.';
  if (mutations === 'none')
    return 'Workers of this lane may change nothing, so they may not claim: edit it first.';
  if (kind === 'spawn')
    return 'Processes of this lane are started by “lanekeeper dispatch”; others may claim, too.';
  if (paused || draining) return 'This lane hands out no work until it is resumed.';
  return null;
}

interface IssueKeyProps {
  readonly lane: string;
  readonly onIssued: (issued: Issued) => void;
}

function IssueKey({ lane, onIssued }: IssueKeyProps): ReactNode {
  const client = useClient();
  const { key: issuer } = useSession();
  const [isPending, setPending] = useState(false);
  const [error, setError] = useState<unknown>(null);
  const issue = async (event: FormEvent<HTMLFormElement>): Promise<void> => {
    event.preventDefault();
    const name = String(new FormData(event.currentTarget).get('name') ?? '').trim();
    setPending(true);
    setError(null);
    try {
      onIssued(await client.lanes.createKey(lane, name === '' ? {} : { name }));
    } catch (refused) {
      setError(refused);
      setPending(false);
    }
  };
  const warning = endWarning(issuer, `lanekeeper lane key ${lane}`, writtenTime);
  return (
    <form className="lanes-issue" onSubmit={(event) => void issue(event)}>
      <TextField
        label="Name of the key (optional)"
        name="name"
        maxLength={128}
        placeholder="where the worker runs"
      />
      <Button type="submit" tone="primary" disabled={isPending}>
        Issue a key
      </Button>
      <p className="muted small">It may claim on this lane, and nothing else. It is shown once.</p>
      {warning !== null && <p className="small">{warning}</p>}
      <Problem error={error} />
    </form>
  );
}

function tabsOf(subject: SnippetSubject, lane: Lane): readonly Tab[] {
  return [
    {
      name: 'CLI',
      content: (
        <>
          <Snippet title="A command for each task" text={workSnippet(subject)} />
          {lane.claim_mode !== 'push' && <Snippet title="One task by hand" text={claimSnippet(subject)} />}
        </>
      ),
    },
    {
      name: 'curl',
      content:
        lane.claim_mode === 'push' ? (
          <p className="muted">
            Its claim mode is push: work comes over a socket, which the command line and the SDK do by
            themselves.
          </p>
        ) : (
          <Snippet title="Claim, heartbeat, complete" text={curlSnippet(subject)} />
        ),
    },
    {
      name: 'TypeScript',
      content: (
        <>
          <Snippet title="Environment" text={keySnippet(subject)} />
          <Snippet title="worker.mjs" text={sdkSnippet(subject)} />
        </>
      ),
    },
    {
      name: 'MCP',
      content: (
        <>
          <p className="muted small">
            The agent claims its tasks itself: tell it “be a worker of the lane {subject.lane}”.
          </p>
          <Snippet title="Environment of the agent" text={keySnippet(subject)} />
          <Snippet title=".mcp.json over HTTP" text={mcpHttpSnippet(subject)} />
          <Snippet title=".mcp.json over stdio" text={mcpStdioSnippet(subject)} />
          <Snippet title="Other clients" text={mcpCommands(subject)} />
        </>
      ),
    },
  ];
}
