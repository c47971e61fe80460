/** What operators do with delegations: tell their children something, and cancel. Cancelling is asked about. */
import type { Delegation } from '../../client/index.ts';
import { useClient } from '../live/live-context.tsx';
import { useAsk } from '../ui/ask.tsx';
import { type Act, useAct } from '../ui/use-act.ts';
import { steeredText } from './delegation-words.ts';

export interface SteerTarget {
  readonly id: string;
  readonly title: string;
}

interface DelegationActions extends Omit<Act, 'act'> {
  /** Resolves to how many get it, in words; null: nobody was told. */
  readonly steer: (delegation: Delegation, targets: readonly SteerTarget[]) => Promise<string | null>;
  readonly cancel: (delegation: Delegation) => Promise<boolean>;
  readonly cancelSession: (session: string) => Promise<boolean>;
}

const REASON = { name: 'reason', label: 'Reason (optional)', kind: 'text' } as const;
const ALL = '';

export function useDelegationActions(): DelegationActions {
  const client = useClient();
  const ask = useAsk();
  const { act, isPending, error } = useAct();
  return {
    isPending,
    error,
    steer: async ({ id }, targets) => {
      const options = [
        { value: ALL, label: 'All that have not ended' },
        ...targets.map(({ id: value, title: label }) => ({ value, label })),
      ];
      const answers = await ask({
        title: 'Tell the children something',
        text: 'Holders are told at once; a child that nobody works on is told with its next claim.',
        fields: [
          { name: 'to', label: 'To', kind: 'select', options },
          { name: 'message', label: 'Message', kind: 'textarea', isRequired: true },
        ],
        action: 'Send',
      });
      if (answers === null) return null;
      const task = answers['to'] ?? ALL;
      const body = { message: answers['message'] ?? '', ...(task === ALL ? {} : { task_id: task }) };
      let told = '';
      const isDone = await act('Message', async () => {
        told = steeredText(await client.delegations.steer(id, body));
        return told;
      });
      return isDone ? told : null;
    },
    cancel: async ({ id, tasks }) => {
      const answers = await ask({
        title: 'Cancel this delegation',
        text: `It is decided at once, with what its ${tasks.length} tasks have so far, and comes back to where it was asked for. Holders are asked to stop.`,
        fields: [REASON],
        action: 'Cancel delegation',
        isDestructive: true,
      });
      if (answers === null) return false;
      return act('Cancel delegation', async () => {
        await client.delegations.cancel(id, answers['reason'] || undefined);
        return 'The delegation is cancelled';
      });
    },
    cancelSession: async (session) => {
      const answers = await ask({
        title: `Cancel all of session ${session}`,
        text: 'Each of its delegations that still runs is decided at once, with what there is so far.',
        fields: [REASON],
        action: 'Cancel all of the session',
        isDestructive: true,
      });
      if (answers === null) return false;
      return act('Cancel all of the session', async () => {
        const reason = answers['reason'];
        const body = { session_id: session, ...(reason ? { reason } : {}) };
        const { cancelled } = await client.delegations.cancelSession(body);
        return `${cancelled.length} of session ${session} cancelled`;
      });
    },
  };
}
