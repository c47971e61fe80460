/**
 * Which requests may be sent again when their answer was lost: all that only read, calls that carry a request_id, and calls of tools of
 * which the server has said, in the list of its tools, that a second call changes nothing more. Until a list was seen, no tool is taken
 * to be one.
 */
import { isObject } from '../../client/errors.ts';
import type { McpRequest } from './message.ts';

/** Several times as many as there are, with their aliases. */
const TOOLS_MAX = 200;

export class RepeatableCalls {
  readonly #tools = new Set<string>();

  /** Reads the result of tools/list. */
  learn(result: Readonly<Record<string, unknown>>): void {
    const tools: unknown[] = Array.isArray(result['tools']) ? result['tools'] : [];
    for (const tool of tools) {
      if (!isObject(tool) || typeof tool['name'] !== 'string' || !isObject(tool['annotations'])) continue;
      const { readOnlyHint, idempotentHint } = tool['annotations'];
      if ((readOnlyHint === true || idempotentHint === true) && this.#tools.size < TOOLS_MAX) {
        this.#tools.add(tool['name']);
      }
    }
  }

  has({ method, params }: McpRequest): boolean {
    if (method !== 'tools/call') return true;
    // Tools that know no request_id refuse it before anything is done.
    if (isObject(params['arguments']) && isRequestId(params['arguments']['request_id'])) return true;
    return typeof params['name'] === 'string' && this.#tools.has(params['name']);
  }
}

function isRequestId(value: unknown): boolean {
  return typeof value === 'string' && value !== '';
}
