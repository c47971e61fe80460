/** profile list | set | use | remove: the servers this user works with. Keys are never printed, and stored for the user alone. */
import type { Context } from '../context.ts';
import { UsageError } from '../exit-codes.ts';
import { giveExamples, withExamples } from '../options.ts';
import {
  forgetProfile,
  noSuchProfile,
  type Profile,
  type Profiles,
  profilesPath,
  readProfiles,
  writeProfiles,
} from '../profiles.ts';
import type { Register } from '../register.ts';
import { checkServerUrl, isSameServer } from '../settings.ts';
import { readKey } from '../stored-key.ts';
import { writeTable } from '../table.ts';

/** As lanes are called: a name that is also usable in a shell without quotes. */
const NAME = /^[a-z0-9][a-z0-9._-]{0,63}$/i;

interface ListedProfile {
  readonly name: string;
  readonly url: string;
  readonly board: string | null;
  readonly current: boolean;
}

export const registerProfile: Register = (profile, contextOf) => {
  withExamples(
    profile,
    `  lanekeeper profile list
  lanekeeper profile set staging --url https://staging.example.com --token-file staging.key
  lanekeeper profile use staging`,
  );
  profile
    .command('list')
    .description('list the stored profiles; * marks the one that is used when none is named')
    .action(() => listProfiles(contextOf()));
  profile
    .command('set <name>')
    .description(
      'store a profile, or change the one with this name: --url, --board, --token-file or --token -',
    )
    .addHelpText(
      'after',
      '\nUnlike login it asks no server, and does not make the profile the current one.\n',
    )
    .action((name: string) => setProfile(contextOf(), name));
  profile
    .command('use <name>')
    .description('make it the one that is used when none is named')
    .action((name: string) => useProfile(contextOf(), name));
  profile
    .command('remove <name>')
    .description('forget it and its key; the key itself stays valid: see key revoke')
    .action((name: string) => removeProfile(contextOf(), name));
  giveExamples(profile, {
    list: `  lanekeeper profile list
  lanekeeper profile list --json`,
    set: `  lanekeeper profile set staging --url https://staging.example.com --token-file staging.key
  lanekeeper profile set staging --token - < new.key
  lanekeeper profile set staging --board factory`,
    use: '  lanekeeper profile use staging',
    remove: '  lanekeeper profile remove staging',
  });
};

interface Store {
  readonly path: string;
  readonly kept: Profiles;
}

async function openStore({ system, output }: Context): Promise<Store> {
  const path = profilesPath(system.env);
  return { path, kept: await readProfiles(path, (text) => output.warn(text)) };
}

async function listProfiles(context: Context): Promise<void> {
  const { kept } = await openStore(context);
  const { output } = context;
  const profiles: ListedProfile[] = Object.entries(kept.profiles).map(([name, { url, board }]) => ({
    name,
    url,
    board: board ?? null,
    current: name === kept.current,
  }));
  if (output.isJson) {
    output.json({ profiles });
    return;
  }
  writeTable(output, profiles, [
    { title: '', text: ({ current }) => (current ? '*' : '') },
    { title: 'PROFILE', text: ({ name }) => name },
    { title: 'BOARD', text: ({ board }) => board ?? '-' },
    { title: 'URL', text: ({ url }) => url },
  ]);
  if (profiles.length === 0) output.note('No profiles. Next: lanekeeper login --url URL');
}

async function setProfile(context: Context, name: string): Promise<void> {
  if (!NAME.test(name)) throw new UsageError('The name of a profile is letters, digits, ".", "_" and "-"');
  const { flags, output } = context;
  const { path, kept } = await openStore(context);
  const before = Object.hasOwn(kept.profiles, name) ? kept.profiles[name] : undefined;
  const profile = await changed(context, before);
  await writeProfiles(path, { current: kept.current, profiles: { ...kept.profiles, [name]: profile } });
  output.note(`${before === undefined ? 'Stored' : 'Changed'} profile "${name}" in ${path}.`);
  if (kept.current !== name && flags.profile !== name) output.note(`Next: lanekeeper profile use ${name}`);
}

/** A key was issued by one server: with another address it is asked for anew, and never sent there by mistake. */
async function changed(context: Context, before: Profile | undefined): Promise<Profile> {
  const { flags } = context;
  const url = flags.url ?? before?.url;
  if (url === undefined) throw new UsageError('Give the address of the server: --url');
  checkServerUrl(url);
  const givesKey = flags.token !== undefined || flags.tokenFile !== undefined;
  const isKept = before !== undefined && !givesKey && isSameServer(before.url, url);
  const token = isKept ? before.token : await readKey(context, url);
  const board = flags.board ?? before?.board;
  return { url, token, ...(board === undefined ? {} : { board }) };
}

async function useProfile(context: Context, name: string): Promise<void> {
  const { path, kept } = await openStore(context);
  if (!Object.hasOwn(kept.profiles, name)) throw new UsageError(noSuchProfile(kept, name));
  await writeProfiles(path, { ...kept, current: name });
  context.output.note(`Profile "${name}" (${kept.profiles[name]?.url}) is used from now on.`);
}

async function removeProfile(context: Context, name: string): Promise<void> {
  const { path, kept } = await openStore(context);
  await forgetProfile(path, kept, name);
  context.output.note(`Forgot profile "${name}".`);
}
