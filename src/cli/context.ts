/** What a command works with: settings, client, output, stdin and signals. Built from the global flags, once. */
import { readFile } from 'node:fs/promises';
import { text as readAll } from 'node:stream/consumers';
import type { Client } from '../client/client.ts';
import { UnreachableError } from '../client/errors.ts';
import { wantsColours } from './colours.ts';
import type { Environment } from './environment.ts';
import { UsageError } from './exit-codes.ts';
import { isLoopback } from './local-server.ts';
import { Output, type OutputOptions } from './output.ts';
import {
  type GlobalFlags,
  lateKey,
  resolveSettings,
  type Settings,
  type SettingsContext,
} from './settings.ts';

export interface Flags extends GlobalFlags {
  readonly json?: boolean | undefined;
  readonly color?: boolean | undefined;
  readonly quiet?: boolean | undefined;
  /** What cannot be undone is not asked about. */
  readonly yes?: boolean | undefined;
}

export interface System {
  readonly stdin: () => NodeJS.ReadStream;
  readonly stdout: OutputOptions['stdout'];
  readonly stderr: OutputOptions['stderr'];
  readonly env: Environment;
  readonly workingDirectory: string;
}

/** Of a call: one that gets through at the second attempt, as after a lost connection, is no news. */
const RETRIES_IN_SILENCE = 1;

type SignalHandler = (signal: 'SIGINT' | 'SIGTERM' | 'SIGHUP') => void;

export class Context {
  readonly system: System;
  readonly flags: Flags;
  readonly output: Output;
  /** Set by commands that leave in their own way; otherwise the program ends at once. */
  onSignal: SignalHandler | undefined;
  /** A reader of stdout has gone away: quiet end, unless a command has more to do than to print. */
  endsWithStdout = true;
  #settings: Promise<Settings> | undefined;
  #stdin: Promise<string> | undefined;

  constructor(system: System, flags: Flags) {
    this.system = system;
    this.flags = flags;
    this.output = new Output({
      stdout: system.stdout,
      stderr: system.stderr,
      isJson: flags.json ?? false,
      isQuiet: flags.quiet ?? false,
      hasColours: wantsColours({
        flag: flags.color,
        env: system.env,
        isTTY: system.stdout.isTTY === true,
      }),
    });
  }

  settings(): Promise<Settings> {
    this.#settings ??= resolveSettings(this.flags, this.settingsContext());
    return this.#settings;
  }

  async client(): Promise<Client> {
    const { url, board, token } = await this.settings();
    // Loaded here: help and mistakes in the words need no client.
    const { connect } = await import('../client/client.ts');
    const { DEFAULT_RETRY } = await import('../client/retry.ts');
    if (token !== undefined && url.startsWith('http:') && !isLoopback(url)) {
      this.output.warn(`warning: the key travels to ${url} unencrypted; use https`);
    }
    const onRetry = (error: unknown, attempts: number): void => {
      if (attempts === RETRIES_IN_SILENCE + 1 && error instanceof UnreachableError)
        this.output.note(`${error.message}; trying again for up to ${DEFAULT_RETRY.totalMs / 1000} s`);
    };
    const lateToken = isLoopback(url) ? () => this.findToken() : undefined;
    return connect({ url, board, token, lateToken, onRetry });
  }

  /** The key, also that of a server on this machine that was away when the settings were read: whoever waits for it cannot have had it before. */
  async findToken(): Promise<string | undefined> {
    const { url, token } = await this.settings();
    return token ?? lateKey(url, this.settingsContext());
  }

  settingsContext(): SettingsContext {
    return {
      env: this.system.env,
      workingDirectory: this.system.workingDirectory,
      readStdin: () => this.readStdin(),
      warn: (text) => this.output.warn(text),
    };
  }

  readStdin(): Promise<string> {
    this.#stdin ??= readAll(this.system.stdin());
    return this.#stdin;
  }

  /** A text given literally, as @file, or as - for stdin. */
  async readText(value: string): Promise<string> {
    if (value === '-') return this.readStdin();
    if (!value.startsWith('@')) return value;
    try {
      return await readFile(value.slice(1), 'utf8');
    } catch (error) {
      throw new UsageError(
        `Cannot read ${value.slice(1)}: ${error instanceof Error ? error.message : error}`,
        {
          cause: error,
        },
      );
    }
  }

  /**
   * Literally, or - for stdin. Reasons and errors are put together from what programs printed: one that begins with @ must not name a file
   * whose contents would then stand in the log.
   */
  async readReason(value: string): Promise<string> {
    return value === '-' ? (await this.readStdin()).replace(/\r?\n$/, '') : value;
  }

  /** As readText, holding JSON. */
  async readJson(value: string, option: string): Promise<unknown> {
    const text = await this.readText(value);
    try {
      return JSON.parse(text) as unknown;
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      throw new UsageError(`${option} is not JSON: ${reason}`, { cause: error });
    }
  }
}
