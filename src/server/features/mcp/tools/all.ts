/** All tools under their own names. */
import { present } from '../../../kernel/assert.ts';
import type { ToolDocument } from '../results.ts';
import type { Tool, ToolCall } from '../tool.ts';
import { CLAIMING_TOOLS } from './claiming.ts';
import { CREATING_TOOLS } from './creating.ts';
import { DELEGATING_TOOLS } from './delegating.ts';
import { ENDING_TOOLS } from './ending.ts';
import { OPERATING_TOOLS } from './operating.ts';
import { READING_TOOLS } from './reading.ts';
import { WORKING_TOOLS } from './working.ts';

/** In the order in which a worker or an orchestrator needs them. */
export const TOOLS: readonly Tool[] = [
  ...CLAIMING_TOOLS,
  ...WORKING_TOOLS,
  ...ENDING_TOOLS,
  ...CREATING_TOOLS,
  ...READING_TOOLS,
  ...DELEGATING_TOOLS,
  ...OPERATING_TOOLS,
];

const BY_NAME = new Map(TOOLS.map((tool) => [tool.name, tool]));

/** For aliases: the same call, in the words of the tool. */
export function pass(call: ToolCall, name: string, input: object): Promise<ToolDocument> {
  return present(BY_NAME.get(name), 'an alias leads to a tool').run(call, input);
}
