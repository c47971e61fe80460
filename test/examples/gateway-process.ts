/** The example gateway and its chat, each a process of its own, as their README starts them. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { eventually } from '../fixtures/eventually.ts';
import { ROOT } from '../fixtures/server-process.ts';

const EXAMPLE = join(ROOT, 'examples/chat-gateway');

/** What a killed gateway leaves is given out again after this; a send has half of it. */
const LEASE_SECONDS = 2;

export interface Sent {
  readonly id: string;
  readonly chat_id: string;
  readonly text: string;
  readonly kind: 'message' | 'turn';
}

interface Process {
  readonly child: ChildProcess;
  readonly output: () => string;
  stop(signal?: NodeJS.Signals): Promise<void>;
}

function start(file: string, args: readonly string[], env: Record<string, string | undefined>): Process {
  const child = spawn(process.execPath, [join(EXAMPLE, file), ...args], {
    env: { PATH: process.env['PATH'], ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let output = '';
  for (const stream of [child.stdout, child.stderr])
    stream.on('data', (chunk: Buffer) => {
      output += String(chunk);
    });
  return {
    child,
    output: () => output,
    stop: async (signal = 'SIGTERM') => {
      if (child.exitCode !== null || child.signalCode !== null) return;
      const exited = once(child, 'exit');
      child.kill(signal);
      await exited;
    },
  };
}

export interface GatewayOptions {
  readonly serverUrl: string;
  readonly token: string;
  readonly chatUrl: string;
  readonly stateFile: string;
}

export function startGateway({ serverUrl, token, chatUrl, stateFile }: GatewayOptions): Process {
  return start('gateway.mjs', [], {
    LANEKEEPER_URL: serverUrl,
    LANEKEEPER_TOKEN: token,
    CHAT_URL: chatUrl,
    STATE_FILE: stateFile,
    LEASE_SECONDS: String(LEASE_SECONDS),
  });
}

export interface FakeChat {
  readonly url: string;
  say(chatId: string, text: string): Promise<void>;
  sent(chatId: string): Promise<Sent[]>;
  busy(session: string, isBusy: boolean): Promise<void>;
  /** The next so many sends; status 0: the connection is cut. `is_taken`: after the chat has shown it. */
  fail(count: number, status: number, isTaken?: boolean): Promise<void>;
  stop(): Promise<void>;
}

export async function startFakeChat(): Promise<FakeChat> {
  const chat = start('fake-chat.mjs', ['0'], {});
  const url = await eventually('the chat listens', () => /http:\S+/.exec(chat.output())?.[0]);
  const post = async (path: string, body: unknown) => {
    const answer = await fetch(`${url}${path}`, { method: 'POST', body: JSON.stringify(body) });
    if (!answer.ok) throw new Error(`${path} was answered with ${answer.status}`);
  };
  return {
    url,
    say: (chatId, text) => post('/say', { chat_id: chatId, text }),
    sent: async (chatId) => {
      const { messages } = (await (await fetch(`${url}/sent`)).json()) as { messages: Sent[] };
      return messages.filter((message) => message.chat_id === chatId);
    },
    busy: (session, isBusy) => post('/busy', { session, is_busy: isBusy }),
    fail: (count, status, isTaken = false) => post('/failures', { count, status, is_taken: isTaken }),
    stop: () => chat.stop(),
  };
}
