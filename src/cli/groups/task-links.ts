/** task link, unlink, graph: which task waits for which. */
import type { Command } from 'commander';
import type { Context } from '../context.ts';
import { styleOfStatus, taskLine } from '../format.ts';
import { printable } from '../output.ts';
import { treeOf } from '../task-tree.ts';

export function addLinkCommands(task: Command, contextOf: () => Context): void {
  const change = async (verb: 'link' | 'unlink', child: string, parent: string): Promise<void> => {
    const context = contextOf();
    const reply = await (await context.client()).tasks[verb](child, parent);
    if (context.output.isJson) context.output.json(reply);
    else context.output.line(taskLine(context.output, reply.task));
  };
  task
    .command('link <child> <parent>')
    .description('let a task wait until another one is done')
    .action((child: string, parent: string) => change('link', child, parent));
  task
    .command('unlink <child> <parent>')
    .description('let it wait for that one no longer')
    .action((child: string, parent: string) => change('unlink', child, parent));
  task
    .command('graph <id>')
    .description('show what a task waits for and what waits for it, however far')
    .action((id: string) => showGraph(contextOf(), id));
}

async function showGraph(context: Context, id: string): Promise<void> {
  const { output } = context;
  const graph = await (await context.client()).tasks.graph(id);
  if (output.isJson) {
    output.json(graph);
    return;
  }
  for (const { branch, node, isRepeated } of treeOf(graph)) {
    const title = output.style(node.id === id ? 'bold' : 'dim', printable(node.title));
    const status = output.style(styleOfStatus(node.status) ?? 'bold', node.status);
    const rest = isRepeated ? '(see above)' : `${status}  ${node.lane ?? '-'}  ${node.id}`;
    output.line(`${branch}${title}  ${rest}${node.id === id ? '  *' : ''}`);
  }
  if (graph.truncated) output.note('There are more; these are the nearest.');
}
