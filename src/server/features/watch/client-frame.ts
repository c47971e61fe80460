/**
 * A frame of a client, read from its text. What is no frame at all ends the socket; a verb of a worker that is merely wrong in its fields is
 * refused by a reply, as its route would, because one bad result must not cost a worker the socket that holds all its other claims.
 */
import { ClientFrame, RunFrame } from '../../../contract/frames.ts';
import { parseJsonText, parseWith } from '../../http/body.ts';
import { asProblem } from '../../http/on-error.ts';
import type { ProblemError } from '../../kernel/problem-error.ts';

export type ReadFrame =
  | { readonly kind: 'frame'; readonly frame: ClientFrame; readonly characters: number }
  /** Answered by a reply. */
  | { readonly kind: 'refused'; readonly id: string; readonly problem: ProblemError }
  | { readonly kind: 'bad'; readonly id: string | undefined; readonly detail: string };

/** Pinned by the wire contract. */
const ID_CHARACTERS_MAX = 64;
const RUN_FRAME_TYPES: ReadonlySet<unknown> = new Set(
  RunFrame.options.map((option) => option.shape.type.value),
);

export function readFrame(text: string): ReadFrame {
  let value: unknown;
  try {
    value = parseJsonText(text);
  } catch (error) {
    return (
      refusalOf(plainJson(text), error) ?? bad(undefined, 'a frame must be one JSON object in a text message')
    );
  }
  const parsed = ClientFrame.safeParse(value);
  if (parsed.success) return { kind: 'frame', frame: parsed.data, characters: text.length };
  const [issue] = parsed.error.issues;
  const detail = `the frame is not valid: ${[...(issue?.path ?? []), issue?.message ?? 'wrong shape'].join(' ')}`;
  return refusalOf(value, null) ?? bad(memberOf(value, 'id'), detail);
}

/** For a verb of a worker whose id can be answered; null: this is no such frame. */
function refusalOf(value: unknown, cause: unknown): ReadFrame | null {
  const id = memberOf(value, 'id');
  if (!RUN_FRAME_TYPES.has(memberOf(value, 'type')) || !id || id.length > ID_CHARACTERS_MAX) return null;
  try {
    if (cause !== null) throw cause;
    parseWith(RunFrame, value, 'body');
  } catch (error) {
    return { kind: 'refused', id, problem: asProblem(error) };
  }
  return null;
}

function bad(id: string | undefined, detail: string): ReadFrame {
  return { kind: 'bad', id: id?.slice(0, ID_CHARACTERS_MAX), detail };
}

function memberOf(value: unknown, name: 'id' | 'type'): string | undefined {
  const member = (value as Partial<Record<typeof name, unknown>> | null | undefined)?.[name];
  return typeof member === 'string' ? member : undefined;
}

/** Without the checks of what can be stored: only to find out whom to answer. */
function plainJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
