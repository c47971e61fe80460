/** dashboard: a link that signs one person in to the web page. The key of this command stays here; the page gets one of its own. */
import { Option } from 'commander';
import type { SignInRole } from '../../contract/sign-in.ts';
import type { Context } from '../context.ts';
import { isLoopback } from '../local-server.ts';
import { given, listFrom, withExamples } from '../options.ts';
import { printable } from '../output.ts';
import type { Register } from '../register.ts';

const ROLES: Record<SignInRole, true> = { admin: true, orchestrator: true, observer: true };

interface DashboardFlags {
  readonly role?: SignInRole;
  readonly boards?: string[];
  readonly name?: string;
}

export const registerDashboard: Register = (command, contextOf) => {
  command.description(
    'Print a link that signs one person in to the dashboard, once and within 10 minutes. Takes an admin key.',
  );
  withExamples(
    command,
    `  lanekeeper dashboard
  lanekeeper dashboard --role observer --boards factory --name wallboard
  lanekeeper dashboard --json | jq -r .url`,
  );
  command
    .addOption(new Option('--role <role>', 'what they may do (default: admin)').choices(Object.keys(ROLES)))
    .option(
      '--boards <names>',
      'comma-separated boards, or "*" for all (default: those of the key)',
      listFrom,
    )
    .option('--name <text>', 'of the key that they get, as key list shows it')
    .action((flags: DashboardFlags) => createLink(contextOf(), flags));
};

async function createLink(context: Context, flags: DashboardFlags): Promise<void> {
  const { output } = context;
  const client = await context.client();
  const { role, boards, name } = flags;
  const reply = await client.keys.createSignInCode(given({ role, boards, name }));
  if (output.isJson) output.json(reply);
  else output.line(printable(linkFrom(client.url, reply)));
  output.note(`Signs in one person as ${role ?? 'admin'}, once, until ${reply.expires_at}.`);
}

/** A server that nobody told its address knows itself on its own machine only; from elsewhere it is where it was reached. */
function linkFrom(reachedAt: string, { code, url }: { readonly code: string; readonly url: string }): string {
  return isLoopback(url) && !isLoopback(reachedAt) ? `${reachedAt}/#code=${code}` : url;
}
