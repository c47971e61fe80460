/**
 * A queue of several groups that gives each its share: first come, first served within a group, and between groups by weight, so that
 * one with ten thousand waiting does not stand before one that has a single thing to do. Adding, taking and removing cost the
 * logarithm of the number of groups that wait, whatever waits behind them.
 *
 * Self-clocked fair queueing: the head of a group is due at the queue's time when it became the head, plus its weight; what is due
 * first is taken next, and the queue's time is then its due time. Plain turns between groups would give one whose things are heavy a
 * hundred times the share of one whose things are light. What is removed leaves nothing behind, or things that come and go while
 * nobody takes any would pile up; and it is not charged to its group.
 */
import { assert } from './assert.ts';

/** What can stand in a queue, one at a time. The members that are not readonly are the queue's; a newcomer has null in them. */
export interface Queued<T> {
  readonly weight: number;
  group: Group<T> | null;
  previous: T | null;
  next: T | null;
}

export interface Group<T> {
  readonly name: string;
  head: T;
  tail: T;
  /** The queue's time when the head became the head, and when it is due. */
  startedAt: number;
  dueAt: number;
  /** Of groups due at the same time, the one whose head has waited longer is first. */
  order: number;
  /** Where it stands in the heap. */
  index: number;
  length: number;
}

export class FairQueue<T extends Queued<T>> {
  /** Made when a second group comes: most queues never have one. */
  #groups: Map<string, Group<T>> | null = null;
  /** A binary heap of the groups, the one that is due first on top. */
  readonly #heap: Group<T>[] = [];
  #length = 0;
  #time = 0;
  #headsSoFar = 0;

  get length(): number {
    return this.#length;
  }

  lengthOf(groupName: string): number {
    return this.#find(groupName)?.length ?? 0;
  }

  push(groupName: string, entry: T): void {
    this.#length += 1;
    const group = this.#find(groupName);
    if (group === undefined) {
      this.#add(groupName, entry);
      return;
    }
    group.length += 1;
    entry.group = group;
    entry.previous = group.tail;
    group.tail.next = entry;
    group.tail = entry;
  }

  /** What shift would take. */
  first(): T | undefined {
    return this.#heap[0]?.head;
  }

  shift(): T | undefined {
    const group = this.#heap[0];
    if (group === undefined) return undefined;
    const { head } = group;
    // Forward only: one that took over a place may have been due before.
    this.#time = Math.max(this.#time, group.dueAt);
    this.#unlink(group, head, this.#time);
    return head;
  }

  /** False: it has been taken or removed already. */
  remove(entry: T): boolean {
    if (entry.group === null) return false;
    // The next one of the group takes over where this one stood: what was never taken costs the group nothing.
    this.#unlink(entry.group, entry, entry.group.startedAt);
    return true;
  }

  #find(name: string): Group<T> | undefined {
    const [first] = this.#heap;
    if (first === undefined || first.name === name) return first;
    return this.#groups?.get(name);
  }

  #add(name: string, entry: T): void {
    const index = this.#heap.length;
    const group = { name, head: entry, tail: entry, startedAt: 0, dueAt: 0, order: 0, index, length: 1 };
    entry.group = group;
    if (index > 0) this.#groups ??= new Map(this.#heap.map((known) => [known.name, known]));
    this.#groups?.set(name, group);
    this.#heap.push(group);
    this.#schedule(group, this.#time);
  }

  #unlink(group: Group<T>, entry: T, nextStartsAt: number): void {
    const { previous, next } = entry;
    this.#length -= 1;
    group.length -= 1;
    entry.group = null;
    entry.previous = null;
    entry.next = null;
    if (previous !== null) {
      previous.next = next;
      if (next === null) group.tail = previous;
      else next.previous = previous;
    } else if (next !== null) {
      next.previous = null;
      group.head = next;
      this.#schedule(group, nextStartsAt);
    } else this.#drop(group);
  }

  #drop(group: Group<T>): void {
    this.#groups?.delete(group.name);
    const last = this.#heap.pop();
    assert(last !== undefined, 'a group of the queue stands in its heap');
    if (last === group) return;
    last.index = group.index;
    this.#heap[last.index] = last;
    this.#settle(last);
  }

  #schedule(group: Group<T>, startsAt: number): void {
    group.startedAt = startsAt;
    group.dueAt = startsAt + group.head.weight;
    this.#headsSoFar += 1;
    group.order = this.#headsSoFar;
    if (this.#heap.length > 1) this.#settle(group);
  }

  /** Moves a group up or down to where it belongs. */
  #settle(group: Group<T>): void {
    const heap = this.#heap;
    for (let above = parentOf(heap, group.index); above !== undefined && isBefore(group, above); ) {
      swap(heap, group, above);
      above = parentOf(heap, group.index);
    }
    for (let below = firstChildOf(heap, group.index); below !== undefined && isBefore(below, group); ) {
      swap(heap, group, below);
      below = firstChildOf(heap, group.index);
    }
  }
}

function isBefore<T>(left: Group<T>, right: Group<T>): boolean {
  return left.dueAt === right.dueAt ? left.order < right.order : left.dueAt < right.dueAt;
}

function parentOf<T>(heap: readonly Group<T>[], index: number): Group<T> | undefined {
  return index === 0 ? undefined : heap[(index - 1) >> 1];
}

function firstChildOf<T>(heap: readonly Group<T>[], index: number): Group<T> | undefined {
  const left = heap[2 * index + 1];
  const right = heap[2 * index + 2];
  return left !== undefined && right !== undefined && isBefore(right, left) ? right : left;
}

function swap<T>(heap: Group<T>[], one: Group<T>, other: Group<T>): void {
  const { index } = one;
  one.index = other.index;
  other.index = index;
  heap[one.index] = one;
  heap[other.index] = other;
}
