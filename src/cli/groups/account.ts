/** login, logout and whoami: which key this user works with. Keys come from a file or stdin, never from a flag. */
import type { ReplyOf } from '../../client/operation-types.ts';
import type { Context } from '../context.ts';
import { UsageError } from '../exit-codes.ts';
import { withExamples } from '../options.ts';
import { forgetProfile, profilesPath, readProfiles, writeProfiles } from '../profiles.ts';
import type { Register } from '../register.ts';
import { checkServerUrl, DEFAULT_URL } from '../settings.ts';
import { readKey } from '../stored-key.ts';
import { writeFields } from '../table.ts';

const DEFAULT_PROFILE = 'default';

export const registerLogin: Register = (command, contextOf) => {
  withExamples(
    command,
    `  lanekeeper login --url https://lanes.example.com --token-file key.txt
  lanekeeper login --profile staging --url https://staging.example.com --token - < key.txt
  lanekeeper login --url https://lanes.example.com --board factory`,
  );
  command.description(
    'Check a key against a server and store both as a profile, which becomes the current one.',
  );
  command.action(() => login(contextOf()));
};

async function login(context: Context): Promise<void> {
  const { flags, output, system } = context;
  const { env } = system;
  const name = flags.profile ?? (env['LANEKEEPER_PROFILE'] || DEFAULT_PROFILE);
  const url = flags.url ?? (env['LANEKEEPER_URL'] || DEFAULT_URL);
  checkServerUrl(url);
  const token = await readKey(context, url);
  const { connect } = await import('../../client/client.ts');
  const reply = await connect({ url, token }).whoami();
  const path = profilesPath(env);
  const profiles = await readProfiles(path, (text) => output.warn(text));
  const board = flags.board ?? boardOf(reply);
  const profile = { url, token, ...(board === undefined ? {} : { board }) };
  await writeProfiles(path, { current: name, profiles: { ...profiles.profiles, [name]: profile } });
  if (output.isJson) output.json(reply);
  output.note(`Logged in to ${url} as ${whoText(reply)}; stored as profile "${name}" in ${path}.`);
  output.note('Next: lanekeeper task list');
}

/** A key for one board makes that board the obvious default. */
function boardOf({ principal }: ReplyOf<'whoami'>): string | undefined {
  if (principal.type === 'claim') return principal.board;
  const [only, ...others] = principal.key.boards;
  return only === '*' || others.length > 0 ? undefined : only;
}

export const registerLogout: Register = (command, contextOf) => {
  command.description(
    'Forget a stored profile (default: the one in use). The key itself stays valid: see key revoke.',
  );
  withExamples(
    command,
    `  lanekeeper logout
  lanekeeper logout --profile staging`,
  );
  command.action(async () => {
    const { flags, output, system } = contextOf();
    const path = profilesPath(system.env);
    const kept = await readProfiles(path, (text) => output.warn(text));
    // As other commands choose it: what would be used is what is forgotten.
    const name = flags.profile ?? (system.env['LANEKEEPER_PROFILE'] || kept.current);
    if (name === null) throw new UsageError('There is no current profile: name one with --profile');
    await forgetProfile(path, kept, name);
    output.note(`Forgot profile "${name}".`);
  });
};

export const registerWhoami: Register = (command, contextOf) => {
  command.description('Show who the key speaks for, and where it comes from.');
  withExamples(
    command,
    `  lanekeeper whoami
  lanekeeper whoami --profile staging --json`,
  );
  command.action(async () => {
    const context = contextOf();
    const { url, tokenSource } = await context.settings();
    const reply = await (await context.client()).whoami();
    if (context.output.isJson) {
      context.output.json(reply);
      return;
    }
    const { principal } = reply;
    const key = principal.type === 'key' ? principal.key : null;
    writeFields(context.output, [
      ['who', whoText(reply)],
      ['server', url],
      ['credential', tokenSource],
      ['boards', key === null ? null : key.boards.join(', ')],
      ['lane', key?.lane ?? null],
      ['expires', key === null ? null : (key.expires_at ?? 'never')],
    ]);
  });
};

function whoText({ principal }: ReplyOf<'whoami'>): string {
  if (principal.type === 'claim') return `the claim of ${principal.task_id} on lane ${principal.lane}`;
  return `${principal.key.role} key "${principal.key.name}" (${principal.key.id})`;
}
