/** What was entered for a new task, as the API takes it. Pure. */
import type { BodyOf } from '../../client/index.ts';

export type Entered = Readonly<Record<'title' | 'lane' | 'body' | 'priority' | 'labels', string>>;

type Body = BodyOf<'createTask'>;

/** "team=web, urgent": pairs with commas between them; a key alone has an empty value. */
export function labelsOf(text: string): Record<string, string> {
  const pairs = text
    .split(',')
    .map((pair) => pair.trim())
    .filter(Boolean)
    .map((pair): [string, string] => {
      const at = pair.indexOf('=');
      return at < 0 ? [pair, ''] : [pair.slice(0, at).trim(), pair.slice(at + 1).trim()];
    });
  return Object.fromEntries(pairs);
}

/** The key makes it one task, however often it is sent. */
export function bodyOf(entered: Entered, idempotencyKey: string): Body {
  const labels = labelsOf(entered.labels);
  return {
    title: entered.title.trim(),
    idempotency_key: idempotencyKey,
    ...(entered.lane.trim() === '' ? {} : { lane: entered.lane.trim() }),
    ...(entered.body.trim() === '' ? {} : { body: entered.body }),
    ...(entered.priority.trim() === '' ? {} : { priority: Number(entered.priority) }),
    ...(Object.keys(labels).length === 0 ? {} : { labels }),
  };
}
