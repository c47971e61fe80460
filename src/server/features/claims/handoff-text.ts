/**
 * A task and its handoff as the text that a worker reads, the same through every interface. Pure, and it cuts nothing that the handoff
 * has not cut (view.ts) but a large payload. Every line that somebody else wrote begins with "> " and every document is one line of JSON,
 * so that nobody's summary or comment can pass for a heading of ours; a plain template let the text of one worker speak to the next as
 * if the board had said it.
 */
import type { Handoff } from '../../../contract/claims.ts';
import type { Task } from '../../../contract/tasks.ts';
import {
  HANDOFF_ATTEMPTS_MAX,
  HANDOFF_COMMENTS_MAX,
  HANDOFF_JSON_CHARACTERS_MAX,
  HANDOFF_PARENTS_MAX,
  HANDOFF_TEXT_CHARACTERS_MAX,
} from './view.ts';

type Attempt = Handoff['attempts'][number];

const CUT_TEXT = `longer than ${HANDOFF_TEXT_CHARACTERS_MAX} characters, cut there`;
const CUT_DOCUMENT = `larger than ${HANDOFF_JSON_CHARACTERS_MAX} characters as JSON, left out`;

const OR_MUCH = ', or too much together';

/** What `truncated` names, for readers. A name that is not here speaks for itself. */
const LEFT_OUT: Readonly<Record<string, string>> = {
  parents: `more than ${HANDOFF_PARENTS_MAX} tasks${OR_MUCH}, the first are shown`,
  comments: `more than ${HANDOFF_COMMENTS_MAX}${OR_MUCH}, the newest are shown`,
  attempts: `more than ${HANDOFF_ATTEMPTS_MAX}${OR_MUCH}, the newest are shown`,
  messages: 'too many for one answer, the oldest are shown; heartbeats tell the others',
  review: CUT_TEXT,
  'delegation.delegation_goal': CUT_TEXT,
  'delegation.delegation_context': CUT_TEXT,
  'delegation.goal': CUT_TEXT,
  'delegation.context': CUT_TEXT,
  'parents.summary': CUT_TEXT,
  'comments.body': CUT_TEXT,
  'attempts.summary': CUT_TEXT,
  'attempts.error': CUT_TEXT,
  payload: CUT_DOCUMENT,
  'parents.result': CUT_DOCUMENT,
  'attempts.result': CUT_DOCUMENT,
  'attempts.checkpoint': `${CUT_DOCUMENT}; the latest is whole`,
  'attempts.metadata': CUT_DOCUMENT,
};

/** Markdown. What is empty is not mentioned; what was left out is named at the end. */
export function handoffText(task: Task, handoff: Handoff): string {
  const payload = task.payload === null ? '' : documentOf(task.payload);
  const isPayloadCut = payload.length > HANDOFF_JSON_CHARACTERS_MAX;
  const leftOut = [...(isPayloadCut ? ['payload'] : []), ...handoff.truncated];
  const sections = [
    `# ${lineOf(task.title)}`,
    standingOf(task),
    section('What is to be done', task.body === null ? '' : quoted(task.body)),
    section(
      'What it was handed over with',
      handoff.delegation === null ? '' : delegationText(handoff.delegation),
    ),
    section('Payload', isPayloadCut ? '' : payload),
    section('What the review asks for', handoff.review === null ? '' : quoted(handoff.review)),
    section('Messages that nobody has acknowledged yet', handoff.messages.map(messageText).join('\n\n')),
    section('Tasks that this one builds on', handoff.parents.map(parentText).join('\n\n')),
    section('Earlier attempts', handoff.attempts.map(attemptText).join('\n\n')),
    section('Comments', handoff.comments.map(commentText).join('\n\n')),
    section('Left out here', leftOut.map((name) => `- ${name}: ${LEFT_OUT[name] ?? 'cut'}`).join('\n')),
  ];
  return `${sections.filter((text) => text !== '').join('\n\n')}\n`;
}

function section(title: string, content: string): string {
  return content === '' ? '' : `## ${title}\n\n${content}`;
}

function standingOf(task: Task): string {
  const { claim, lane, status } = task;
  const place = lane === null ? 'on no lane' : `on lane ${lane}`;
  const held = claim === null ? '' : `, attempt ${claim.attempt}, worker ${lineOf(claim.worker)}`;
  const waits = task.unmet_parents === 0 ? '' : ` It waits for ${task.unmet_parents} more to be done.`;
  const review =
    claim === null || task.reviewer === null || task.reviewer !== claim.lane
      ? ''
      : ' This is a review: look at the work of the attempt before, then complete it or request changes.';
  const cancel = claim?.cancel_requested ? ' It is to be cancelled: stop.' : '';
  return `Task ${task.id}, ${status} ${place}${held}.${waits}${review}${cancel}`;
}

function delegationText(delegation: NonNullable<Handoff['delegation']>): string {
  const { id, index, total, delegation_goal: wholeGoal, delegation_context: wholeContext } = delegation;
  const { goal, context, toolsets, model } = delegation;
  return blocks([
    `Task ${index + 1} of ${total} of the delegation ${id}.`,
    goal === null ? '' : `Goal:\n${quoted(goal)}`,
    context === null ? '' : `Context:\n${quoted(context)}`,
    named('Toolsets', toolsets),
    named('Model', model),
    wholeGoal === null ? '' : `Goal of the whole delegation:\n${quoted(wholeGoal)}`,
    wholeContext === null ? '' : `Context of the whole delegation:\n${quoted(wholeContext)}`,
  ]);
}

function parentText({ task_id: id, title, summary, result }: Handoff['parents'][number]): string {
  return blocks([
    `### ${lineOf(title)} (${id})`,
    summary === null ? '' : quoted(summary),
    named('Result', result),
  ]);
}

function attemptText(attempt: Attempt): string {
  const { lane, worker, started_at: start, ended_at: end, metadata } = attempt;
  const who = [
    ...(lane === null ? [] : [`lane ${lane}`]),
    ...(worker === null ? [] : [`worker ${lineOf(worker)}`]),
  ];
  const by = who.length === 0 ? '' : ` by ${who.join(', ')},`;
  return blocks([
    `### Attempt ${attempt.attempt}: ${attempt.outcome}`,
    `Run ${attempt.run_id}${by} from ${start} to ${end}.`,
    attempt.error === null ? '' : `Why it ended:\n${quoted(attempt.error)}`,
    attempt.summary === null ? '' : `Summary:\n${quoted(attempt.summary)}`,
    named('Result', attempt.result),
    named('Checkpoint', attempt.checkpoint),
    Object.keys(metadata).length === 0 ? '' : named('Metadata', metadata),
  ]);
}

function commentText({ at, author, body }: Handoff['comments'][number]): string {
  return `### ${at}, ${author.type} ${lineOf(author.id)}\n\n${quoted(body)}`;
}

function messageText({ id, at, text }: Handoff['messages'][number]): string {
  return `### ${at}, ${id}\n\n${quoted(text)}`;
}

function blocks(parts: readonly string[]): string {
  return parts.filter((part) => part !== '').join('\n\n');
}

function named(name: string, value: unknown): string {
  return value === null ? '' : `${name}: ${documentOf(value)}`;
}

/** Whatever some reader takes for the end of a line (Unicode, UAX 14: BK, CR, LF, NL). */
const LINE_END = /\r\n|[\n\v\f\r\u0085\u2028\u2029]/;
const LINE_ENDS = new RegExp(LINE_END, 'g');

function quoted(text: string): string {
  return text
    .trimEnd()
    .split(LINE_END)
    .map((line) => `> ${line}`.trimEnd())
    .join('\n');
}

function lineOf(text: string): string {
  return text.replaceAll(LINE_ENDS, ' ');
}

/** JSON escapes the line ends of ASCII by itself. */
function documentOf(value: unknown): string {
  return JSON.stringify(value).replaceAll(
    /[\u0085\u2028\u2029]/g,
    (end) => `\\u${end.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}
