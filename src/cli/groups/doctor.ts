/** doctor: looks at all that a command needs, and says of each thing what it is, and what to do where it is wrong. */
import type { Context } from '../context.ts';
import { checkDataDirectory, checkProfilesFile } from '../doctor/file-checks.ts';
import { type Finding, skipped } from '../doctor/finding.ts';
import {
  checkCredential,
  checkMcp,
  checkReachable,
  checkReady,
  checkSocket,
} from '../doctor/server-checks.ts';
import { EXIT, ExitError } from '../exit-codes.ts';
import { counted } from '../format.ts';
import { dataDirectoryOf } from '../local-server.ts';
import { withExamples } from '../options.ts';
import { printable, type Style } from '../output.ts';
import { packageVersion } from '../package-version.ts';
import { profilesPath } from '../profiles.ts';
import type { Register } from '../register.ts';

const STYLES: Record<Finding['status'], Style> = { ok: 'green', warn: 'yellow', fail: 'red', skipped: 'dim' };

/** Looked at only where there is a server to ask. */
const ASKED = ['database', 'key', 'board', 'websocket', 'mcp'];

export const registerDoctor: Register = (command, contextOf) => {
  withExamples(
    command,
    `  lanekeeper doctor
  lanekeeper doctor --url https://lanes.example.com --token-file key.txt
  lanekeeper doctor --json | jq -r '.checks[] | select(.status == "fail") | .next'`,
  );
  command
    .description('Find out what is wrong between here and the server, and what to do about it.')
    .addHelpText('after', '\nChanges nothing. Exit code 1: something has failed; warnings do not count.\n')
    .action(() => examine(contextOf()));
};

async function examine(context: Context): Promise<void> {
  const { output } = context;
  const checks = [...(await examineServer(context)), ...(await examineFiles(context))];
  const failed = checks.filter(({ status }) => status === 'fail').length;
  if (output.isJson) output.json({ ok: failed === 0, checks });
  else for (const each of checks) write(context, each, checks);
  if (failed > 0) throw new ExitError(EXIT.error, `${failed} of ${checks.length} checks failed.`);
  const warned = checks.filter(({ status }) => status === 'warn').length;
  output.note(warned === 0 ? 'Nothing is wrong.' : `Nothing has failed; ${counted(warned, 'warning')}.`);
}

async function examineServer(context: Context): Promise<Finding[]> {
  const { token, tokenSource } = await context.settings();
  const client = await context.client();
  const { url } = client;
  const version = packageVersion();
  const { findings, isReached } = await checkReachable({ url, version, nowMs: Date.now });
  if (!isReached) return [...findings, ...ASKED.map((check) => skipped(check, 'nobody to ask'))];
  const ready = await checkReady(client);
  const credential = await checkCredential(client, token, tokenSource);
  // A watch of a board that is not there, or with a key that is refused, says nothing about sockets.
  const isKnown = credential.every(({ status }) => status === 'ok');
  const socket = isKnown ? await checkSocket(client) : skipped('websocket', 'takes a key, and a board');
  return [...findings, ...ready, ...credential, socket, await checkMcp(url, token, version)];
}

async function examineFiles({ system }: Context): Promise<Finding[]> {
  const { env, workingDirectory } = system;
  return [
    ...(await checkDataDirectory(dataDirectoryOf(env, workingDirectory))),
    await checkProfilesFile(profilesPath(env)),
  ];
}

function write({ output }: Context, { check, status, detail, next }: Finding, all: readonly Finding[]): void {
  const width = Math.max(...all.map(({ check: name }) => name.length));
  const word = output.style(STYLES[status], status.padEnd('skipped'.length));
  output.line(`${word}  ${check.padEnd(width)}  ${printable(detail)}`);
  if (next !== undefined) output.line(`${' '.repeat('skipped'.length + width + 4)}next: ${next}`);
}
