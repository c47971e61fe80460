/** What operators do with a lane. What destroys is asked about; a refusal is shown at the lane, and in a notice. */
import { type ReactNode, useState } from 'react';
import type { Client, Lane } from '../../client/index.ts';
import { useClient } from '../live/live-context.tsx';
import { useSession } from '../session/session-context.tsx';
import { useAsk } from '../ui/ask.tsx';
import { Button } from '../ui/button.tsx';
import { Menu } from '../ui/menu.tsx';
import type { MenuItem } from '../ui/menu-list.tsx';
import { useNotify } from '../ui/notices.tsx';
import type { Question } from '../ui/question.ts';
import { ConnectDialog } from './connect-dialog.tsx';
import { LaneFormDialog } from './lane-form-dialog.tsx';
import type { LoadedLane } from './lane-state.ts';
import { TakeoverDialog } from './takeover-dialog.tsx';

interface LaneActionsProps extends LoadedLane {
  /** null: the last one was done. */
  readonly onProblem: (error: unknown) => void;
  readonly onChanged: () => void;
}

type Opened = 'connect' | 'edit' | 'takeover' | null;

interface LaneAct {
  readonly label: string;
  readonly perform: (client: Client, lane: string) => Promise<unknown>;
  readonly question?: Question;
  readonly done: string;
}

function actsOf({ name, paused, draining }: Lane, running: number): readonly LaneAct[] {
  const resume: LaneAct = {
    label: 'Resume',
    done: `${name} hands out work again`,
    perform: (client, lane) => client.lanes.resume(lane),
  };
  const pause: LaneAct = {
    label: 'Pause',
    done: `${name} is paused`,
    perform: (client, lane) => client.lanes.pause(lane),
  };
  const drain: LaneAct = {
    label: 'Drain',
    done: `${name} drains`,
    perform: (client, lane) => client.lanes.drain(lane),
    question: {
      title: `Drain ${name}`,
      text: `It hands out no more work. ${running} ${running === 1 ? 'task is' : 'tasks are'} held now and may finish; then the lane is paused, until somebody resumes it.`,
      action: 'Drain',
    },
  };
  const remove: LaneAct = {
    label: 'Delete',
    done: `${name} is deleted`,
    perform: (client, lane) => client.lanes.delete(lane),
    question: {
      title: `Delete ${name}`,
      text: 'Its keys are revoked at once. Its tasks stay, and wait until a lane of this name is registered again or they are given to another one.',
      action: 'Delete',
      isDestructive: true,
    },
  };
  return [...(paused || draining ? [resume] : [pause]), ...(paused || draining ? [] : [drain]), remove];
}

export function LaneActions({ lane, load, onProblem, onChanged }: LaneActionsProps): ReactNode {
  const client = useClient();
  const { may } = useSession();
  const ask = useAsk();
  const notify = useNotify();
  const [opened, setOpened] = useState<Opened>(null);
  const close = (): void => setOpened(null);
  const run = async ({ label, done, question, perform }: LaneAct): Promise<void> => {
    if (question !== undefined && (await ask(question)) === null) return;
    try {
      await perform(client, lane.name);
      onProblem(null);
      onChanged();
      notify.done(done);
    } catch (error) {
      onProblem(error);
      notify.problem(`${label} ${lane.name}`, error);
    }
  };
  const itemOf = (act: LaneAct): MenuItem => ({
    label: act.label,
    onSelect: () => void run(act),
    isDestructive: act.question?.isDestructive ?? false,
  });
  const acts = actsOf(lane, load.running);
  const items: readonly MenuItem[] = [
    ...acts.filter(({ label }) => label !== 'Delete').map(itemOf),
    { label: 'Edit', onSelect: () => setOpened('edit') },
    // Nobody claims on a lane of people, so there is nothing to take over.
    ...(lane.kind === 'human'
      ? []
      : [{ label: 'Take over', onSelect: () => setOpened('takeover'), isDestructive: true }]),
    ...acts.filter(({ label }) => label === 'Delete').map(itemOf),
  ];
  return (
    <div className="lanes-actions">
      {lane.kind !== 'human' && (
        <Button
          size="small"
          aria-label={`Connect a worker to ${lane.name}`}
          onClick={() => setOpened('connect')}
        >
          Connect
        </Button>
      )}
      {may.operate && <Menu label="⋯" name={`Actions of ${lane.name}`} items={items} />}
      {opened === 'connect' && <ConnectDialog lane={lane} onClose={close} />}
      {opened === 'takeover' && <TakeoverDialog lane={lane} running={load.running} onClose={close} />}
      {opened === 'edit' && (
        <LaneFormDialog
          lane={lane}
          onClose={close}
          onSaved={() => {
            close();
            onChanged();
          }}
        />
      )}
    </div>
  );
}
