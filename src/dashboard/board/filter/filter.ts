/**
 * Which cards a filter text lets through. Pure. Several words of one qualifier mean any of them (`status:ready status:running`), but for
 * labels, comparisons and `is:`, which all have to hold; different qualifiers all have to hold; a comma in a value means either.
 */
import type { Card } from '../../live/card.ts';
import { type Term, termsOf } from './terms.ts';

/** What is not on the card but decides. */
export interface Surroundings {
  readonly nowMs: number;
  readonly isLaneOnline: (lane: string) => boolean;
}

type Test = (card: Card, around: Surroundings) => boolean;

interface Qualifier {
  readonly hint: string;
  /** null: the value says nothing that this qualifier knows. */
  readonly test: (value: string) => Test | null;
  /** All of several have to hold; default: any. */
  readonly isEach?: boolean;
}

const within =
  (read: (card: Card) => string | null) =>
  (value: string): Test | null => {
    const names = value.toLowerCase().split(',').filter(Boolean);
    if (names.length === 0) return null;
    const wanted = new Set(names.map((name) => (name === '-' ? '' : name)));
    return (card) => wanted.has((read(card) ?? '').toLowerCase());
  };

const containing =
  (read: (card: Card) => string | null) =>
  (value: string): Test | null => {
    const part = value.toLowerCase();
    return part === '' ? null : (card) => (read(card) ?? '').toLowerCase().includes(part);
  };

const COMPARISON = /^(>=|<=|>|<|=)?(-?\d+(?:\.\d+)?)(s|m|h|d)?$/;
const UNIT_SECONDS: Readonly<Record<string, number>> = { s: 1, m: 60, h: 3600, d: 86_400 };

function compares(operator: string, left: number, right: number): boolean {
  switch (operator) {
    case '>':
      return left > right;
    case '>=':
      return left >= right;
    case '<':
      return left < right;
    case '<=':
      return left <= right;
    default:
      return left === right;
  }
}

const numeric =
  (read: (card: Card) => number) =>
  (value: string): Test | null => {
    const [, operator = '=', digits, unit] = COMPARISON.exec(value) ?? [];
    if (digits === undefined || unit !== undefined) return null;
    return (card) => compares(operator, read(card), Number(digits));
  };

/** Seconds where no unit is given; without an operator: at least so old. */
const aged = (value: string): Test | null => {
  const [, operator = '>=', digits, unit = 's'] = COMPARISON.exec(value) ?? [];
  if (digits === undefined) return null;
  const limitMs = Number(digits) * (UNIT_SECONDS[unit] ?? 1) * 1000;
  return (card, { nowMs }) => compares(operator, nowMs - card.statusSinceMs, limitMs);
};

const labelled = (value: string): Test | null => {
  const at = value.indexOf('=');
  const key = at < 0 ? value : value.slice(0, at);
  if (key === '') return null;
  // Not `in`: every object has a `constructor`.
  if (at < 0) return ({ labels }) => Object.hasOwn(labels, key);
  const wanted = value.slice(at + 1).split(',');
  return ({ labels }) => wanted.includes(labels[key] ?? '\u0000');
};

/** Nobody is there who could take it. */
const isStranded: Test = ({ status, lane }, { isLaneOnline }) =>
  status === 'ready' && (lane === null || !isLaneOnline(lane));

const STATES: Readonly<Record<string, Test>> = {
  stranded: isStranded,
  held: ({ claim }) => claim !== null,
  cancelling: ({ claim }) => claim?.isCancelRequested === true,
  lapsed: ({ claim }, { nowMs }) => claim !== null && claim.leaseExpiresAtMs <= nowMs,
  failing: ({ consecutiveFailures }) => consecutiveFailures > 0,
  waiting: ({ status }) => status === 'todo',
  delegated: ({ delegationId }) => delegationId !== null,
};

const stateOf = (value: string): Test | null =>
  Object.hasOwn(STATES, value) ? (STATES[value] ?? null) : null;

export const STATE_NAMES: readonly string[] = Object.keys(STATES);

export const QUALIFIERS: ReadonlyMap<string, Qualifier> = new Map<string, Qualifier>([
  ['status', { hint: 'ready, running, …', test: within(({ status }) => status) }],
  ['lane', { hint: 'a lane; - for none', test: within(({ lane }) => lane) }],
  ['label', { hint: 'key or key=value', test: labelled, isEach: true }],
  ['worker', { hint: 'part of a worker’s name', test: containing(({ claim }) => claim?.worker ?? null) }],
  ['tenant', { hint: 'a tenant', test: within(({ tenant }) => tenant) }],
  ['delegation', { hint: 'deleg_…', test: within(({ delegationId }) => delegationId) }],
  ['reviewer', { hint: 'a lane', test: within(({ reviewer }) => reviewer) }],
  ['is', { hint: STATE_NAMES.join(', '), test: stateOf, isEach: true }],
  ['age', { hint: 'in its status: >10m, <2h, >3d', test: aged, isEach: true }],
  ['attempt', { hint: '>1', test: numeric(({ attempt }) => attempt), isEach: true }],
  ['failures', { hint: '>0', test: numeric((card) => card.consecutiveFailures), isEach: true }],
  ['priority', { hint: '>5', test: numeric(({ priority }) => priority), isEach: true }],
]);

export interface Filter {
  readonly terms: readonly Term[];
  /** Terms that were not understood, each with why. They let everything through. */
  readonly problems: readonly { readonly term: Term; readonly reason: string }[];
  /** It lets everything through. */
  readonly isEmpty: boolean;
  /** What it says changes with the time alone. */
  readonly dependsOnTime: boolean;
  readonly matches: (card: Card, around: Surroundings) => boolean;
}

const freeText =
  (value: string): Test =>
  ({ title, id, externalRef }) => {
    const part = value.toLowerCase();
    return [title, id, externalRef ?? ''].some((text) => text.toLowerCase().includes(part));
  };

function problemOf({ qualifier, value }: Term): string {
  const known = QUALIFIERS.get(qualifier ?? '');
  if (known === undefined)
    return `There is no qualifier “${qualifier}”. Write it in quotes to search for it.`;
  return value === '' ? `${qualifier}: what? ${known.hint}` : `${qualifier}: takes ${known.hint}`;
}

function testOf({ qualifier, value }: Term): Test | null {
  if (qualifier === null) return freeText(value);
  return QUALIFIERS.get(qualifier)?.test(value) ?? null;
}

export function filterOf(text: string): Filter {
  const terms = termsOf(text).filter(({ qualifier, value }) => qualifier !== null || value !== '');
  const problems: { term: Term; reason: string }[] = [];
  const all: Test[] = [];
  const anyOf = new Map<string, Test[]>();
  for (const term of terms) {
    const test = testOf(term);
    if (test === null) problems.push({ term, reason: problemOf(term) });
    else if (term.isNegated) all.push((card, around) => !test(card, around));
    else if (term.qualifier === null || QUALIFIERS.get(term.qualifier)?.isEach === true) all.push(test);
    else anyOf.set(term.qualifier, [...(anyOf.get(term.qualifier) ?? []), test]);
  }
  for (const tests of anyOf.values()) all.push((card, around) => tests.some((test) => test(card, around)));
  return {
    terms,
    problems,
    isEmpty: all.length === 0,
    dependsOnTime: terms.some(
      ({ qualifier, value }) => qualifier === 'age' || (qualifier === 'is' && value === 'lapsed'),
    ),
    matches: (card, around) => all.every((test) => test(card, around)),
  };
}
