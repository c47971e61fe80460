/** Subscribes a target to a task or delegation. Stays open when it is refused, and where there is a secret to be taken along. */
import { type FormEvent, type ReactNode, useState } from 'react';
import type { BodyOf, Client } from '../../client/index.ts';
import { useClient } from '../live/live-context.tsx';
import { Button } from '../ui/button.tsx';
import { Dialog } from '../ui/dialog.tsx';
import { SelectField, TextField } from '../ui/field.tsx';
import { Problem } from '../ui/problem.tsx';
import { SecretOnce } from '../ui/secret-once.tsx';
import { useAct } from '../ui/use-act.ts';
import { targetText } from './delivery-words.ts';
import { bodyOf, type SubscribeDraft } from './subscribe-draft.ts';

interface SubscribeDialogProps {
  readonly subject: string;
  readonly onClose: () => void;
}

type Field = Exclude<keyof SubscribeDraft, 'mode' | 'wake'>;

const FIELDS: readonly { readonly name: Field; readonly label: string; readonly isRequired?: boolean }[] = [
  { name: 'subject', label: 'Task (id or external reference) or delegation', isRequired: true },
  { name: 'platform', label: 'Platform', isRequired: true },
  { name: 'chat', label: 'Chat' },
  { name: 'thread', label: 'Thread' },
  { name: 'session', label: 'Session' },
  { name: 'owner', label: "Owner: whose gateway delivers it (default: the board's)" },
  { name: 'webhook', label: 'Webhook: an https address that the server calls itself' },
];

const MODES = [
  { value: '', label: "The board's default" },
  { value: 'direct', label: 'direct: the outcome as text' },
  { value: 'synthesize', label: 'synthesize: a reply made of it' },
  { value: 'silent', label: 'silent: nothing is sent' },
];
const WAKES = [
  { value: '', label: 'Default: for delegations only' },
  { value: 'yes', label: 'Yes: as a new turn of the conversation' },
  { value: 'no', label: 'No: only shown' },
];

type Body = BodyOf<'putSubscription'>;

async function subscribe(
  client: Client,
  body: Body,
): Promise<{ target: string; secret: string | undefined }> {
  const { subscription } = await client.subscriptions.put(body);
  return { target: targetText(subscription), secret: subscription.webhook?.secret };
}

export function SubscribeDialog({ subject, onClose }: SubscribeDialogProps): ReactNode {
  const client = useClient();
  const { act, isPending, error } = useAct();
  const [secret, setSecret] = useState<string | null>(null);
  const submit = async (event: FormEvent<HTMLFormElement>): Promise<void> => {
    event.preventDefault();
    const data = new FormData(event.currentTarget);
    let made: string | undefined;
    const isDone = await act('Subscribe', async () => {
      const answer = await subscribe(client, bodyOf(draftOf(data)));
      made = answer.secret;
      return `${answer.target} is told`;
    });
    if (!isDone) return;
    if (made === undefined) onClose();
    else setSecret(made);
  };
  if (secret !== null)
    return (
      <Dialog title="Subscribed" onClose={onClose}>
        <SecretOnce label="Secret that signs what the webhook gets" secret={secret} />
        <div className="dialog-buttons">
          <Button tone="primary" onClick={onClose}>
            I have it
          </Button>
        </div>
      </Dialog>
    );
  return (
    <Dialog title="Subscribe a target" onClose={onClose}>
      <form onSubmit={(event) => void submit(event)}>
        {FIELDS.map(({ name, label, isRequired = false }) => (
          <TextField
            key={name}
            name={name}
            label={label}
            required={isRequired}
            defaultValue={name === 'subject' ? subject : ''}
          />
        ))}
        <SelectField name="mode" label="Mode" options={MODES} />
        <SelectField name="wake" label="Wake" options={WAKES} />
        <Problem error={error} />
        <div className="dialog-buttons">
          <Button onClick={onClose}>Keep as it is</Button>
          <Button type="submit" tone="primary" disabled={isPending}>
            Subscribe
          </Button>
        </div>
      </form>
    </Dialog>
  );
}

function draftOf(data: FormData): SubscribeDraft {
  const text = (name: keyof SubscribeDraft): string => {
    const value = data.get(name);
    return typeof value === 'string' ? value.trim() : '';
  };
  return {
    subject: text('subject'),
    platform: text('platform'),
    chat: text('chat'),
    thread: text('thread'),
    session: text('session'),
    owner: text('owner'),
    webhook: text('webhook'),
    mode: text('mode'),
    wake: text('wake'),
  };
}
