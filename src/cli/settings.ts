/**
 * Which server, board and credential a command uses: flags before environment before profile before a server on
 * this machine. A credential that was stored for one server is used for that server only.
 */
import { readFile } from 'node:fs/promises';
import type { Environment } from './environment.ts';
import { UsageError } from './exit-codes.ts';
import { dataDirectoryOf, findLocalServer, type LocalServer, readAdminKey } from './local-server.ts';
import { noSuchProfile, type Profile, profilesPath, readProfiles } from './profiles.ts';

export const DEFAULT_URL = 'http://127.0.0.1:7420';
const DEFAULT_BOARD = 'default';

export interface GlobalFlags {
  readonly url?: string | undefined;
  readonly board?: string | undefined;
  /** The key itself, or "-" for stdin. */
  readonly token?: string | undefined;
  /** "-" is stdin. */
  readonly tokenFile?: string | undefined;
  readonly profile?: string | undefined;
}

export interface Settings {
  readonly url: string;
  readonly board: string;
  readonly token: string | undefined;
  /** For messages: where the credential came from. */
  readonly tokenSource: string;
}

export interface SettingsContext {
  readonly env: Environment;
  readonly workingDirectory: string;
  readonly readStdin: () => Promise<string>;
  readonly warn: (text: string) => void;
}

/** One place that settings come from. */
interface Layer {
  readonly source: string;
  readonly url?: string | undefined;
  readonly board?: string | undefined;
  /** Read only when this layer's credential is the one. */
  readonly token?: (() => Promise<string | undefined>) | undefined;
  /** Credential and board were stored for this layer's URL and are used with no other. */
  readonly isBound?: boolean;
  /** Asked for by name: not using it would be a surprise. */
  readonly isExplicit?: boolean;
}

/** The key of the server that runs on this machine by now; undefined when there is none, or another than that of `url`. */
export async function lateKey(
  url: string,
  { env, workingDirectory }: Pick<SettingsContext, 'env' | 'workingDirectory'>,
): Promise<string | undefined> {
  const local = await findLocalServer(dataDirectoryOf(env, workingDirectory));
  return local !== undefined && isSameServer(local.url, url) ? readAdminKey(local) : undefined;
}

export async function resolveSettings(flags: GlobalFlags, context: SettingsContext): Promise<Settings> {
  const all = await readLayers(flags, context);
  const url = all.find((layer) => layer.url !== undefined)?.url ?? DEFAULT_URL;
  checkServerUrl(url);
  const layers = all.filter((layer) => !layer.isBound || isSameServer(layer.url, url));
  const board = layers.find((layer) => layer.board !== undefined)?.board ?? DEFAULT_BOARD;
  for (const { token: read, source } of layers) {
    const token = await read?.();
    if (token !== undefined) return { url, board, token, tokenSource: source };
  }
  const unused = all.find((layer) => layer.isExplicit && !layers.includes(layer));
  if (unused !== undefined) throw new UsageError(`The ${unused.source} is for ${unused.url}, not for ${url}`);
  return { url, board, token: undefined, tokenSource: 'none' };
}

async function readLayers(flags: GlobalFlags, context: SettingsContext): Promise<Layer[]> {
  const { env } = context;
  const named = env['LANEKEEPER_PROFILE'];
  const profiles = await readProfiles(profilesPath(env), context.warn);
  const layerOf = (name: string | undefined | null, isExplicit: boolean): Layer[] => {
    if (!name) return [];
    const profile = Object.hasOwn(profiles.profiles, name) ? profiles.profiles[name] : undefined;
    if (profile !== undefined) return [profileLayer(name, profile, isExplicit)];
    if (!isExplicit) return [];
    throw new UsageError(`${noSuchProfile(profiles, name)}. Next: lanekeeper login --profile ${name}`);
  };
  const local = await findLocalServer(dataDirectoryOf(env, context.workingDirectory));
  return [
    {
      source: flags.token === undefined ? '--token-file' : '--token',
      url: flags.url,
      board: flags.board,
      token: tokenReaderOf(flags, context),
    },
    ...layerOf(flags.profile, true),
    environmentLayer(context),
    ...(flags.profile ? [] : layerOf(named, true)),
    ...(flags.profile || named ? [] : layerOf(profiles.current, false)),
    ...(local === undefined ? [] : [localLayer(local)]),
  ];
}

/** What the flags say the key is, to be read only when it is needed. */
export function tokenReaderOf(
  { token, tokenFile }: GlobalFlags,
  context: SettingsContext,
): (() => Promise<string>) | undefined {
  if (token !== undefined && tokenFile !== undefined)
    throw new UsageError('Give --token or --token-file, and not both');
  if (tokenFile !== undefined) return () => readTokenFile(tokenFile, context);
  if (token === undefined) return undefined;
  if (token === '-') return () => readTokenFile('-', context);
  if (token.trim() === '') throw new UsageError('The key of --token is empty');
  return () => {
    context.warn(
      'warning: everybody on this machine can read a key among the arguments; use --token-file FILE, or --token - for stdin',
    );
    return Promise.resolve(token.trim());
  };
}

function environmentLayer(context: SettingsContext): Layer {
  const { env } = context;
  const file = env['LANEKEEPER_TOKEN_FILE'];
  const layer = { url: env['LANEKEEPER_URL'] || undefined, board: env['LANEKEEPER_BOARD'] || undefined };
  if (env['LANEKEEPER_TOKEN']) {
    return {
      ...layer,
      source: 'LANEKEEPER_TOKEN',
      token: () => Promise.resolve(env['LANEKEEPER_TOKEN']?.trim()),
    };
  }
  if (!file) return { ...layer, source: 'environment' };
  return { ...layer, source: 'LANEKEEPER_TOKEN_FILE', token: () => readTokenFile(file, context) };
}

function profileLayer(name: string, profile: Profile, isExplicit: boolean): Layer {
  const { url, board, token } = profile;
  return {
    source: `profile "${name}"`,
    url,
    board,
    token: () => Promise.resolve(token),
    isBound: true,
    isExplicit,
  };
}

function localLayer(server: LocalServer): Layer {
  return {
    source: 'admin key of the local server',
    url: server.url,
    token: () => readAdminKey(server),
    isBound: true,
  };
}

async function readTokenFile(path: string, context: SettingsContext): Promise<string> {
  const text = path === '-' ? await context.readStdin() : await readTokenText(path);
  const token = text.trim();
  if (token === '') throw new UsageError(`There is no key in ${path === '-' ? 'the standard input' : path}`);
  if (/\s/.test(token))
    throw new UsageError(`${path === '-' ? 'The standard input' : path} holds more than one key`);
  return token;
}

async function readTokenText(path: string): Promise<string> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    throw new UsageError(
      `Cannot read the key in ${path}: ${error instanceof Error ? error.message : error}`,
      {
        cause: error,
      },
    );
  }
}

/** As the client takes it: "localhost:7420" is a URL, too, but not one of a server. */
export function checkServerUrl(text: string): void {
  if (!URL.canParse(text)) throw new UsageError(`Not a URL: ${text}`);
  const { protocol, username, password } = new URL(text);
  if (protocol !== 'http:' && protocol !== 'https:')
    throw new UsageError(`Not an http or https URL: ${text}`);
  if (username !== '' || password !== '')
    throw new UsageError('The URL must not hold a credential: use --token-file, or --token - for stdin');
}

/** However it is spelled: a slash at the end, the port that goes without saying, capital letters. */
export function isSameServer(bound: string | undefined, url: string): boolean {
  if (bound === undefined || !URL.canParse(bound)) return false;
  const [a, b] = [new URL(bound), new URL(url)];
  return a.origin === b.origin && a.pathname.replace(/\/+$/, '') === b.pathname.replace(/\/+$/, '');
}
