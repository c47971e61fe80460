/** How much weight a row of the log has: what went wrong and what went well stand out, what is routine stands back. */
import type { EventKind } from './timeline-words.ts';

export type Tone = 'bad' | 'good' | 'warn' | 'quiet' | 'plain';

const TONES: Readonly<Partial<Record<EventKind, Tone>>> = {
  'task.failed': 'bad',
  'task.crashed': 'bad',
  'task.timed_out': 'bad',
  'task.gave_up': 'bad',
  'task.deleted': 'bad',
  'delivery.dead': 'bad',
  'task.blocked': 'warn',
  'task.stranded': 'warn',
  'task.triaged': 'warn',
  'task.cancel_requested': 'warn',
  'task.cancelled': 'warn',
  'task.reclaimed': 'warn',
  'task.changes_requested': 'warn',
  'lane.offline': 'warn',
  'lane.paused': 'warn',
  'lane.draining': 'warn',
  'lane.taken_over': 'warn',
  'task.completed': 'good',
  'delegation.completed': 'good',
  'delivery.acked': 'good',
  'task.heartbeat': 'quiet',
  'task.progress': 'quiet',
  'task.updated': 'quiet',
  'lane.updated': 'quiet',
};

export function toneOf(kind: EventKind): Tone {
  return TONES[kind] ?? 'plain';
}
