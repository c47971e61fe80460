/**
 * A frame of a client, read from its text. What is no frame at all ends the socket; a verb of a worker that is merely wrong in its fields is
 * refused alone, as its route would, because one bad result must not cost a worker the socket that holds all its other claims.
 */
import { ClientFrame, FRAME_ID_CHARACTERS_MAX, RunFrame } from '../../../contract/frames.ts';
import { parseJsonText, parseWith } from '../../http/body.ts';
import { asProblem } from '../../http/on-error.ts';
import { ProblemError } from '../../kernel/problem-error.ts';

export type ReadFrame =
  | { readonly kind: 'frame'; readonly frame: ClientFrame; readonly bytes: number }
  /** Answered alone: a verb by a reply, the rest of a worker's frames by an error. */
  | {
      readonly kind: 'refused';
      readonly by: 'reply';
      readonly id: string;
      readonly problem: ProblemError;
    }
  | {
      readonly kind: 'refused';
      readonly by: 'error';
      readonly id: string | undefined;
      readonly problem: ProblemError;
    }
  | { readonly kind: 'bad'; readonly id: string | undefined; readonly detail: string };

const RUN_FRAME_TYPES: ReadonlySet<unknown> = new Set(
  RunFrame.options.map((option) => option.shape.type.value),
);
/** They have no reply of their own when they are refused. */
const CREDIT_FRAME_TYPES: ReadonlySet<unknown> = new Set(['credit', 'claim_ack']);

/** @param bytes What it took on the wire. */
export function readFrame(text: string, bytes: number): ReadFrame {
  let value: unknown;
  try {
    value = parseJsonText(text);
  } catch (error) {
    return (
      refusalOf(plainJson(text), error) ?? bad(undefined, 'a frame must be one JSON object in a text message')
    );
  }
  const parsed = ClientFrame.safeParse(value);
  if (parsed.success) return { kind: 'frame', frame: parsed.data, bytes };
  const [issue] = parsed.error.issues;
  const detail = `the frame is not valid: ${[...(issue?.path ?? []), issue?.message ?? 'wrong shape'].join(' ')}`;
  return refusalOf(value, null) ?? bad(memberOf(value, 'id'), detail);
}

/** For a frame of a worker that can be answered; null: this is no such frame. */
function refusalOf(value: unknown, cause: unknown): ReadFrame | null {
  const type = memberOf(value, 'type');
  const given = memberOf(value, 'id');
  const id = given && given.length <= FRAME_ID_CHARACTERS_MAX ? given : undefined;
  if (CREDIT_FRAME_TYPES.has(type))
    return { kind: 'refused', by: 'error', id, problem: problemOf(ClientFrame, value, cause) };
  if (!RUN_FRAME_TYPES.has(type) || id === undefined) return null;
  return { kind: 'refused', by: 'reply', id, problem: problemOf(RunFrame, value, cause) };
}

/** Why the value, which is known to be no such frame, is none. */
function problemOf(
  schema: typeof ClientFrame | typeof RunFrame,
  value: unknown,
  cause: unknown,
): ProblemError {
  try {
    if (cause !== null) throw cause;
    parseWith(schema, value, 'body');
  } catch (error) {
    return asProblem(error);
  }
  return new ProblemError('invalid_request', 'The frame is not valid.');
}

function bad(id: string | undefined, detail: string): ReadFrame {
  // An empty one is no id, so it must not be echoed as one.
  return { kind: 'bad', id: id?.slice(0, FRAME_ID_CHARACTERS_MAX) || undefined, detail };
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
