/** attention, and task why: what waits for a person, and what a task waits for. */
import type { Command } from 'commander';
import type { AttentionEntry } from '../../contract/attention.ts';
import type { WhyReason } from '../../contract/why.ts';
import type { Context } from '../context.ts';
import { age } from '../format.ts';
import { withExamples } from '../options.ts';
import type { Register } from '../register.ts';
import { writeTable } from '../table.ts';

export const registerAttention: Register = (command, contextOf) => {
  command.description('Show what on the board waits for a person, oldest first, with what resolves it.');
  withExamples(
    command,
    `  lanekeeper attention
  lanekeeper attention --board factory --json | jq -r '.attention[].code'`,
  );
  command.action(() => showAttention(contextOf()));
};

async function showAttention(context: Context): Promise<void> {
  const { output } = context;
  const reply = await (await context.client()).attention();
  if (output.isJson) {
    output.json(reply);
    return;
  }
  if (reply.attention.length === 0) {
    output.note('Nothing waits for a person.');
    return;
  }
  writeTable(output, reply.attention, [
    { title: 'SINCE', text: (entry) => age(entry.since) },
    { title: 'CODE', text: (entry) => entry.code, style: () => 'yellow' },
    { title: 'WHAT', text: subjectOf },
    { title: 'ACTIONS', text: (entry) => entry.actions.join(', ') },
    { title: 'DETAIL', text: (entry) => entry.detail },
  ]);
  if (reply.truncated) output.note('There is more than this; these are the oldest.');
}

function subjectOf({ task, lane }: AttentionEntry): string {
  return task === undefined ? `lane ${lane ?? '-'}` : task.id;
}

export function addWhyCommand(task: Command, contextOf: () => Context): void {
  task
    .command('why <id>')
    .description('show why a task is not running, in the order in which it has to be dealt with')
    .action((id: string) => showReasons(contextOf(), id));
}

async function showReasons(context: Context, id: string): Promise<void> {
  const { output } = context;
  const reply = await (await context.client()).tasks.why(id);
  if (output.isJson) {
    output.json(reply);
    return;
  }
  writeTable(output, reply.reasons, [
    { title: 'REASON', text: (reason) => reason.code, style: styleOf },
    { title: 'SINCE', text: (reason) => age(reason.since) },
    { title: 'DETAIL', text: (reason) => reason.detail },
  ]);
  if (reply.reasons.length === 0) output.note('Nothing keeps it: it is running.');
}

function styleOf({ code }: WhyReason): 'green' | 'yellow' {
  return code === 'claimable' || code === 'finished' ? 'green' : 'yellow';
}
