/** Words that sentences about events are made of. Pure. */
import type { Event } from '../../client/index.ts';
import { textOf } from '../live/event-data.ts';
import { shortDuration } from '../ui/duration.ts';

export type EventKind = Event['kind'];
export type EventData = Event['data'];

/** "gave_up" as people write it. */
export function plain(word: string): string {
  return word.replaceAll('_', ' ');
}

/** Longer ones are cut: the data of the event has the whole. */
const QUOTE_CHARACTERS = 200;

/** One line, cut to what a row has room for. */
export function excerpt(text: string): string {
  const line = text.replace(/\s+/g, ' ').trim();
  return line.length <= QUOTE_CHARACTERS ? line : `${line.slice(0, QUOTE_CHARACTERS - 1)}…`;
}

/** ": why", or nothing. */
export function because(value: unknown): string {
  const text = textOf(value);
  return text === null ? '' : `: ${excerpt(text)}`;
}

/** Ids end with their random part, which tells those of one second apart. */
const ID_CHARACTERS = 8;

export function shortId(id: string): string {
  return `…${id.slice(-ID_CHARACTERS)}`;
}

/** "1 task", "2 tasks". */
export function counted(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? '' : 's'}`;
}

/** "3 min"; what is over at once took no 0 s. */
export function lasting(seconds: number): string {
  return seconds > 0 && seconds < 1 ? '< 1 s' : shortDuration(seconds);
}
