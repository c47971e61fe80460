/** One request over real HTTP, as its bytes are: fetch would mend, refuse or add things. */
import { Agent, type IncomingMessage, request } from 'node:http';

export interface HttpRequest {
  readonly method: string;
  /** Path and query, encoded. */
  readonly target: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Buffer | null;
  /** Leaves before the answer, as clients do: nothing is expected back. */
  readonly leavesAfterMs?: number;
}

export interface HttpAnswer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly text: string;
}

/** An answer that has not come by then is a failure: nothing that is sent may wait longer. */
const ANSWER_MS_MAX = 20_000;

/** A server that refuses a body that is too large stops reading it, and who is still writing may see that first. */
const CUT_OFF = new Set(['EPIPE', 'ECONNRESET']);
const LARGE_BODY_BYTES = 256 * 1024;

export class Sender {
  readonly #agent = new Agent({ keepAlive: true, maxSockets: 4 });
  readonly #url: URL;

  constructor(url: string) {
    this.#url = new URL(url);
  }

  /** null: the client left, or the connection was cut while a large body was on its way. */
  send(sent: HttpRequest): Promise<HttpAnswer | null> {
    return new Promise((resolve, reject) => {
      const { hostname, port } = this.#url;
      const outgoing = request({
        agent: this.#agent,
        hostname,
        port,
        method: sent.method,
        path: sent.target,
        headers: { ...sent.headers, ...(sent.body && { 'Content-Length': String(sent.body.length) }) },
        timeout: ANSWER_MS_MAX,
      });
      const leaving =
        sent.leavesAfterMs === undefined ? undefined : setTimeout(leave, sent.leavesAfterMs).unref();
      function leave(): void {
        outgoing.destroy();
        resolve(null);
      }
      outgoing.on('response', (incoming) => readAnswer(incoming, resolve, reject));
      outgoing.on('upgrade', (incoming, socket) => {
        socket.destroy();
        resolve({ status: incoming.statusCode ?? 0, headers: incoming.headers, text: '' });
      });
      outgoing.on('timeout', () => outgoing.destroy(new Error(`no answer within ${ANSWER_MS_MAX} ms`)));
      outgoing.on('error', (error: NodeJS.ErrnoException) => {
        const isLarge = (sent.body?.length ?? 0) >= LARGE_BODY_BYTES;
        if (isLarge && CUT_OFF.has(error.code ?? '')) resolve(null);
        else reject(error);
      });
      outgoing.on('close', () => clearTimeout(leaving));
      outgoing.end(sent.body ?? undefined);
    });
  }

  close(): void {
    this.#agent.destroy();
  }
}

function readAnswer(
  incoming: IncomingMessage,
  resolve: (answer: HttpAnswer) => void,
  reject: (error: unknown) => void,
): void {
  const chunks: Buffer[] = [];
  const finish = (): void =>
    resolve({
      status: incoming.statusCode ?? 0,
      headers: incoming.headers,
      text: Buffer.concat(chunks).toString('utf8'),
    });
  const isEndless = incoming.headers['content-type']?.startsWith('text/event-stream') === true;
  incoming.on('data', (chunk: Buffer) => {
    chunks.push(chunk);
    if (!isEndless) return;
    finish();
    incoming.destroy();
  });
  incoming.on('end', finish);
  incoming.on('error', (error) => (isEndless ? finish() : reject(error)));
}

/** The request as a command, to be tried by hand. */
export function asCurl(url: string, sent: HttpRequest): string {
  const quoted = (text: string): string => `'${text.replaceAll("'", `'\\''`)}'`;
  const lines = [`curl -sS -i -X ${sent.method} ${quoted(url + sent.target)}`];
  for (const [name, value] of Object.entries(sent.headers)) lines.push(`-H ${quoted(`${name}: ${value}`)}`);
  if (sent.body) {
    const isText = sent.body.every((byte) => byte >= 0x20 && byte < 0x7f);
    const data = isText
      ? quoted(sent.body.toString('latin1'))
      : `"$(echo ${sent.body.toString('base64')} | base64 -d)"`;
    lines.push(`--data-binary ${data}`);
  }
  return lines.join(' \\\n  ');
}
