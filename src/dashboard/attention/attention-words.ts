/** What waits for a person, in words, and how it is grouped. Pure. */
import type { ReplyOf } from '../../client/index.ts';

export type AttentionEntry = ReplyOf<'getAttention'>['attention'][number];
type AttentionCode = AttentionEntry['code'];

interface CodeWords {
  readonly label: string;
  /** It leaves no doubt about the status of the task. */
  readonly saysStatus?: boolean;
  /** Which of the colours of chips. */
  readonly chip: string;
}

export const CODE_WORDS: Readonly<Record<AttentionCode, CodeWords>> = {
  blocked: { label: 'Blocked', chip: 'blocked', saysStatus: true },
  gave_up: { label: 'Gave up after failures', chip: 'gave_up' },
  stranded: { label: 'Ready, and nobody takes it', chip: 'warn' },
  lane_offline: { label: 'Lane without a worker', chip: 'warn' },
  lease_lapsing: { label: 'Holder has gone silent', chip: 'warn' },
  review_waiting: { label: 'Waits for review', chip: 'review', saysStatus: true },
  in_triage: { label: 'In triage', chip: 'triage', saysStatus: true },
};

function isAttentionCode(text: string): text is AttentionCode {
  return Object.hasOwn(CODE_WORDS, text);
}

/** An entry keeps its key while it waits for the same thing. */
export function keyOf({ task, lane, code }: AttentionEntry): string {
  return `${code}-${task?.id ?? lane ?? ''}`;
}

interface CodeGroup {
  readonly code: AttentionCode;
  readonly count: number;
}

/** Codes that there are, always in one order; `kept` stays although nothing has it any more, so that a filter can be taken back. */
export function groupsOf(entries: readonly AttentionEntry[], kept: string): readonly CodeGroup[] {
  const counts = new Map<string, number>();
  for (const { code } of entries) counts.set(code, (counts.get(code) ?? 0) + 1);
  return Object.keys(CODE_WORDS)
    .filter(isAttentionCode)
    .map((code) => ({ code, count: counts.get(code) ?? 0 }))
    .filter(({ code, count }) => count > 0 || code === kept);
}

/** Where the keyboard goes next: from nowhere to the first, and not beyond the ends. */
export function keyAfter(keys: readonly string[], current: string | null, step: 1 | -1): string | null {
  const index = current === null ? -1 : keys.indexOf(current);
  if (index < 0) return keys[0] ?? null;
  return keys[Math.min(keys.length - 1, Math.max(0, index + step))] ?? null;
}
