/** server health | metrics | openapi | asyncapi | jwks: what a server says of itself. To find out what is wrong with one: doctor. */
import type { Readiness } from '../../client/resources/system.ts';
import type { Context } from '../context.ts';
import { EXIT, ExitError } from '../exit-codes.ts';
import { giveExamples, withExamples } from '../options.ts';
import { printable } from '../output.ts';
import type { Register } from '../register.ts';
import { writeTable } from '../table.ts';

export const registerServerState: Register = (server, contextOf) => {
  withExamples(
    server,
    `  lanekeeper server health
  lanekeeper server metrics | grep lanekeeper_tasks
  lanekeeper server openapi > openapi.json`,
  );
  server
    .command('live')
    .description('that the process runs, and its version; whatever its database does')
    .action(() => showLive(contextOf()));
  server
    .command('health')
    .alias('ready')
    .description('whether it can do its work, check by check. Exit code 1: it cannot')
    .action(() => showHealth(contextOf()));
  server
    .command('metrics')
    .description('its metrics, in the text format of Prometheus (with --json as one JSON string)')
    .action(async () => {
      const context = contextOf();
      const text = await (await context.client()).system.metrics();
      if (context.output.isJson) context.output.json(text);
      else context.output.line(text.trimEnd());
    });
  server
    .command('openapi')
    .description('the OpenAPI document of its API')
    .action(async () => {
      const context = contextOf();
      context.output.json(await (await context.client()).system.openapi());
    });
  server
    .command('asyncapi')
    .description('the AsyncAPI document of its sockets and event streams')
    .action(async () => {
      const context = contextOf();
      context.output.json(await (await context.client()).system.asyncapi());
    });
  server
    .command('jwks')
    .description('the public keys of claim tokens, with which anybody can verify them')
    .action(async () => {
      const context = contextOf();
      context.output.json(await (await context.client()).system.jwks());
    });
  giveExamples(server, {
    live: '  lanekeeper server live',
    health: `  lanekeeper server health
  lanekeeper server health --json | jq -r '.checks | to_entries[] | select(.value.ok | not) | .key'`,
    metrics: '  lanekeeper server metrics | grep lanekeeper_',
    openapi: '  lanekeeper server openapi > openapi.json',
    asyncapi: '  lanekeeper server asyncapi > asyncapi.json',
    jwks: '  lanekeeper server jwks',
  });
};

async function showLive(context: Context): Promise<void> {
  const reply = await (await context.client()).system.live();
  if (context.output.isJson) context.output.json(reply);
  else context.output.line(`${reply.status}, version ${printable(reply.version)}`);
}

async function showHealth(context: Context): Promise<void> {
  const { output } = context;
  const reply = await (await context.client()).system.ready();
  if (output.isJson) output.json(reply);
  else writeChecks(context, reply);
  if (reply.status !== 'ready') throw new ExitError(EXIT.error, 'The server is not ready.');
}

function writeChecks({ output }: Context, { checks }: Readiness): void {
  writeTable(output, Object.entries(checks), [
    { title: 'CHECK', text: ([name]) => name },
    {
      title: 'STATE',
      text: ([, { ok }]) => (ok ? 'ok' : 'failed'),
      style: ([, { ok }]) => (ok ? 'green' : 'red'),
    },
    { title: 'DETAIL', text: ([, { detail }]) => detail },
  ]);
}
