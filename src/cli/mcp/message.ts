/**
 * JSON-RPC messages of an MCP client, as far as the bridge must look into them: whether an answer is owed, what is cancelled, and which
 * headers the HTTP binding of the protocol wants beside the body. The text itself goes on as it came.
 */
import { isObject } from '../../client/errors.ts';

export type RequestId = string | number;

export interface McpRequest {
  readonly kind: 'request';
  readonly id: RequestId;
  readonly method: string;
  readonly params: Readonly<Record<string, unknown>>;
  readonly text: string;
}

export type McpMessage =
  | McpRequest
  | { readonly kind: 'notification'; readonly text: string }
  /** The client no longer wants the answer to one of its requests. */
  | { readonly kind: 'cancel'; readonly requestId: RequestId }
  /** An answer to a request of the server, which makes none over the bridge. */
  | { readonly kind: 'answer' }
  | { readonly kind: 'malformed'; readonly error: RpcErrorAnswer };

export interface RpcErrorAnswer {
  readonly jsonrpc: '2.0';
  readonly id: RequestId | null;
  readonly error: {
    readonly code: number;
    readonly message: string;
    readonly data?: Readonly<Record<string, unknown>>;
  };
}

/** JSON-RPC 2.0, section 5.1; the last one is the first of those left to servers. */
export const RPC_CODES = { parse: -32_700, invalidRequest: -32_600, server: -32_000 } as const;

/** Protocol revisions are dates; from this one on a request names its revision itself and the binding mirrors it in headers. */
const REVISION_KEY = 'io.modelcontextprotocol/protocolVersion';

/** Whose parameter goes into the header Mcp-Name (MCP 2026-07-28, streamable HTTP). */
const NAMED_BY: ReadonlyMap<string, string> = new Map([
  ['tools/call', 'name'],
  ['prompts/get', 'name'],
  ['resources/read', 'uri'],
  ['tasks/get', 'taskId'],
  ['tasks/update', 'taskId'],
  ['tasks/cancel', 'taskId'],
]);

export function readMessage(text: string): McpMessage {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return { kind: 'malformed', error: rpcError(null, RPC_CODES.parse, 'The line is not JSON.') };
  }
  if (!isObject(value)) {
    const message = 'A line must hold one JSON-RPC message; batches are not taken.';
    return { kind: 'malformed', error: rpcError(null, RPC_CODES.invalidRequest, message) };
  }
  const { id, method } = value;
  const params = isObject(value['params']) ? value['params'] : {};
  if (typeof method !== 'string') {
    if ('result' in value || 'error' in value) return { kind: 'answer' };
    const message = 'The message has no method.';
    return {
      kind: 'malformed',
      error: rpcError(isRequestId(id) ? id : null, RPC_CODES.invalidRequest, message),
    };
  }
  if (isRequestId(id)) return { kind: 'request', id, method, params, text };
  const { requestId } = params;
  if (method === 'notifications/cancelled' && isRequestId(requestId)) return { kind: 'cancel', requestId };
  return { kind: 'notification', text };
}

function isRequestId(value: unknown): value is RequestId {
  return typeof value === 'string' || typeof value === 'number';
}

export function rpcError(
  id: RequestId | null,
  code: number,
  message: string,
  data?: Readonly<Record<string, unknown>>,
): RpcErrorAnswer {
  return { jsonrpc: '2.0', id, error: { code, message, ...(data === undefined ? {} : { data }) } };
}

/** Whether it is what the request waits for, and not a notification on the way there. */
export function isAnswerTo(message: Readonly<Record<string, unknown>>, id: RequestId): boolean {
  return message['id'] === id && ('result' in message || 'error' in message);
}

/** `negotiated`: what an earlier revision's `initialize` has agreed on, null before. */
export function headersOf(request: McpRequest, negotiated: string | null): Record<string, string> {
  const meta = isObject(request.params['_meta']) ? request.params['_meta'] : {};
  const claimed = meta[REVISION_KEY];
  if (typeof claimed !== 'string') {
    const isHandshake = request.method === 'initialize';
    return negotiated === null || isHandshake ? {} : { 'mcp-protocol-version': headerText(negotiated) };
  }
  const named = request.params[NAMED_BY.get(request.method) ?? ''];
  return {
    'mcp-protocol-version': headerText(claimed),
    'mcp-method': headerText(request.method),
    ...(typeof named === 'string' ? { 'mcp-name': headerText(named) } : {}),
  };
}

/** What is not plain ASCII travels as base64 in the binding's own wrapping, so no value can end a header and begin another. */
function headerText(value: string): string {
  const isPlain =
    /^[\x21-\x7e](?:[\x20-\x7e]*[\x21-\x7e])?$/.test(value) && !/^=\?base64\?.*\?=$/.test(value);
  return isPlain ? value : `=?base64?${Buffer.from(value, 'utf8').toString('base64')}?=`;
}
