/** What a dialog can ask before an action. */
import type { ReactNode } from 'react';

export interface AskField {
  readonly name: string;
  readonly label: string;
  readonly kind: 'text' | 'textarea' | 'datetime' | 'number' | 'select' | 'checkbox';
  readonly isRequired?: boolean;
  readonly initial?: string;
  readonly placeholder?: string;
  /** Of a select: value and label. Of a text: what is suggested. */
  readonly options?: readonly { readonly value: string; readonly label: string }[];
}

export interface Question {
  readonly title: string;
  readonly text?: ReactNode;
  readonly fields?: readonly AskField[];
  /** What the button says, e.g. "Cancel task". */
  readonly action: string;
  readonly isDestructive?: boolean;
}

/** A checkbox is "true" or ""; a datetime is RFC 3339. */
export type Answers = Readonly<Record<string, string>>;
export type Ask = (question: Question) => Promise<Answers | null>;
