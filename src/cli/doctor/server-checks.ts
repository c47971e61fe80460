/** What can be seen of a server from here: that it answers, what it is, whether it can work, and whether it knows the key. */
import { connect as openSocket } from 'node:net';
import type { Client } from '../../client/client.ts';
import { authorizationOf } from '../../client/credential.ts';
import { LanekeeperError } from '../../client/errors.ts';
import { isLoopback } from '../local-server.ts';
import { type Finding, fail, ok, reasonOf, skipped, warn } from './finding.ts';

/** Of each question: a healthy server answers in milliseconds, and whoever runs the doctor is waiting. */
const QUESTION_MS = 5_000;
const ONCE = { timeoutMs: QUESTION_MS, retry: { attemptsMax: 1 } };

/** Of clocks that are kept by NTP; nothing here is finer than a second. */
const SKEW_SECONDS_OK = 2;
/** From here on what is scheduled, leased and signed is visibly off. */
const SKEW_SECONDS_MAX = 60;

interface Answer {
  readonly findings: readonly Finding[];
  /** Nothing else can be asked of it. */
  readonly isReached: boolean;
}

interface Server {
  readonly url: string;
  readonly version: string;
  readonly nowMs: () => number;
}

/** /livez, asked without the client, which does not show the date of an answer. */
export async function checkReachable({ url, version, nowMs }: Server): Promise<Answer> {
  const askedMs = nowMs();
  let response: Response;
  let body: unknown;
  try {
    response = await fetch(`${url}/livez`, { signal: AbortSignal.timeout(QUESTION_MS), redirect: 'error' });
    body = await response.json().catch(() => undefined);
  } catch (error) {
    return { findings: await explainSilence(url, error), isReached: false };
  }
  const theirs: unknown =
    typeof body === 'object' && body !== null ? Reflect.get(body, 'version') : undefined;
  if (!response.ok || typeof theirs !== 'string') {
    const detail = `${url} answers ${response.status}, and not as Lanekeeper does: another program has this address`;
    const next =
      'give the right address with --url, or stop that program, or start the server on another PORT';
    return { findings: [fail('server', detail, next)], isReached: false };
  }
  const findings = [
    ok('server', `${url} answers`),
    compareVersions(version, theirs),
    compareClocks(response.headers.get('date'), { askedMs, answeredMs: nowMs() }),
  ];
  return { findings, isReached: true };
}

async function explainSilence(url: string, error: unknown): Promise<Finding[]> {
  const { hostname, port, protocol } = new URL(url);
  const number = Number(port) || (protocol === 'https:' ? 443 : 80);
  const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error;
  const silent = (next: string) => fail('server', `${url} does not answer: ${reasonOf(cause)}`, next);
  if (!isLoopback(url))
    return [silent('is the address right (--url, LANEKEEPER_URL), and the server running?')];
  const isTaken = await isListening(hostname.replace(/^\[|\]$/g, ''), number);
  if (!isTaken)
    return [
      silent('lanekeeper serve'),
      ok('port', `nothing listens on port ${number}: a server can be started there`),
    ];
  return [
    silent('see the port'),
    fail('port', `another program listens on port ${number}`, 'stop it, or start the server on another PORT'),
  ];
}

function isListening(host: string, port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = openSocket({ host, port, timeout: QUESTION_MS });
    const end = (answer: boolean) => (): void => {
      socket.destroy();
      resolve(answer);
    };
    socket.once('connect', end(true));
    socket.once('timeout', end(false));
    socket.once('error', end(false));
  });
}

/** Before 1.0 the second number is what changes the API; after it the first. */
export function compareVersions(ours: string, theirs: string): Finding {
  const told = `this command is ${ours}, the server ${theirs}`;
  const significant = (version: string): string => {
    const [major = '', minor = ''] = version.split('.');
    return major === '0' ? `0.${minor}` : major;
  };
  if (significant(ours) === significant(theirs))
    return ok('version', ours === theirs ? `both are ${ours}` : told);
  return warn('version', told, 'bring both to the same version: what one of them knows the other may not');
}

interface Asked {
  readonly askedMs: number;
  readonly answeredMs: number;
}

/** The server looked at its clock some time between question and answer, and tells whole seconds. */
export function compareClocks(date: string | null, { askedMs, answeredMs }: Asked): Finding {
  const theirsMs = date === null ? Number.NaN : Date.parse(date);
  if (Number.isNaN(theirsMs)) return skipped('clock', 'the server does not say what time it has');
  const aheadMs = Math.max(0, askedMs - (theirsMs + 999));
  const behindMs = Math.max(0, theirsMs - answeredMs);
  const seconds = Math.round((aheadMs - behindMs) / 1000);
  const told = `this clock is ${Math.abs(seconds)} s ${seconds < 0 ? 'behind' : 'ahead of'} the server's`;
  if (Math.abs(seconds) <= SKEW_SECONDS_OK) return ok('clock', 'this clock and the server agree');
  const next = 'set both clocks by NTP: times given here, and checks of tokens here, are off by as much';
  return Math.abs(seconds) > SKEW_SECONDS_MAX ? fail('clock', told, next) : warn('clock', told, next);
}

/** The database, the schema, and whether it is going down: as the server sees it. */
export async function checkReady(client: Client): Promise<Finding[]> {
  try {
    const { checks } = await client.system.ready(ONCE);
    return Object.entries(checks).map(([name, check]) =>
      check.ok
        ? ok(name, check.detail)
        : fail(name, check.detail, 'the log of the server says more; docs/operations.md says what to do'),
    );
  } catch (error) {
    return [fail('database', `the server does not say: ${reasonOf(error)}`, 'look at the log of the server')];
  }
}

/** Whom the key speaks for, and whether it sees the board that commands go to. */
export async function checkCredential(
  client: Client,
  token: string | undefined,
  source: string,
): Promise<Finding[]> {
  if (token === undefined)
    return [fail('key', 'there is none', 'lanekeeper login, or --token-file, or LANEKEEPER_TOKEN')];
  try {
    const { principal } = await client.whoami(ONCE);
    const who =
      principal.type === 'claim' ? `the claim of ${principal.task_id}` : `role ${principal.key.role}`;
    return [ok('key', `${who}, from ${source}`), await checkBoard(client)];
  } catch (error) {
    const next = 'lanekeeper login, or another --token-file; lanekeeper key create makes one';
    return [fail('key', `refused (from ${source}): ${reasonOf(error)}`, next)];
  }
}

async function checkBoard(client: Client): Promise<Finding> {
  try {
    await client.boards.get(client.board, ONCE);
    return ok('board', client.board);
  } catch (error) {
    if (error instanceof LanekeeperError && error.code === 'not_found') {
      const next = 'lanekeeper board list shows what the key may see; --board, or lanekeeper board create';
      return warn('board', `there is no board ${client.board} that this key may see`, next);
    }
    return warn('board', reasonOf(error));
  }
}

/** The socket that watch, work and push lanes live on; proxies are fond of refusing it. */
export async function checkSocket(client: Client): Promise<Finding> {
  const leaving = new AbortController();
  try {
    await new Promise<void>((resolve, reject) => {
      const watch = client.watch(
        {
          limits: { firstConnectMs: QUESTION_MS, connectMs: QUESTION_MS },
          onState: (state) => {
            if (state === 'live') resolve();
          },
          // A watch would try again; whoever runs the doctor wants to know why it must.
          onConnectFailure: reject,
        },
        leaving.signal,
      );
      watch.next().then(() => resolve(), reject);
    });
    return ok('websocket', 'opens, and follows the board');
  } catch (error) {
    // What the server itself has answered has passed every proxy.
    const isAnswer = error instanceof LanekeeperError && error.code !== 'unexpected_answer';
    const next = isAnswer
      ? 'the log of the server says more'
      : 'if a proxy is in between, let it pass Upgrade: websocket on /v1/boards/*/watch';
    return fail('websocket', reasonOf(error), next);
  } finally {
    leaving.abort();
  }
}

/** A model's tools; a server that does not offer them is no fault. */
export async function checkMcp(url: string, token: string | undefined, version: string): Promise<Finding> {
  const clientInfo = { name: 'lanekeeper doctor', version };
  // 2025-06-18: understood by every server that speaks any later one.
  const params = { protocolVersion: '2025-06-18', capabilities: {}, clientInfo };
  try {
    const response = await fetch(`${url}/mcp`, {
      method: 'POST',
      headers: {
        'content-type': 'application/json',
        accept: 'application/json, text/event-stream',
        ...authorizationOf(token),
      },
      body: JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'initialize', params }),
      signal: AbortSignal.timeout(QUESTION_MS),
      redirect: 'error',
    });
    // What it says does not matter, and a stream would go on.
    await response.body?.cancel();
    if (response.status === 404 || response.status === 405)
      return skipped('mcp', 'not offered by this server');
    if (response.ok) return ok('mcp', `${url}/mcp answers`);
    if (response.status === 401 || response.status === 403)
      return warn('mcp', `answers ${response.status}`, 'see key');
    return warn('mcp', `answers ${response.status}`, 'the log of the server says more');
  } catch (error) {
    return warn('mcp', reasonOf(error), 'the log of the server says more');
  }
}
