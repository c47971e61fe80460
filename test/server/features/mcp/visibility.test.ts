/** Which principal is shown which tools, and the shape in which it is shown them. */
import { describe, expect, test } from 'vitest';
import { instructionsFor } from '../../../../src/server/features/mcp/instructions.ts';
import { toolsFor } from '../../../../src/server/features/mcp/service.ts';
import { audienceOf } from '../../../../src/server/features/mcp/tool.ts';
import type { ClaimPrincipal, KeyPrincipal, Principal } from '../../../../src/server/kernel/principal.ts';
import { ORCHESTRATOR } from '../../../fixtures/principals.ts';

const lane: KeyPrincipal = { ...ORCHESTRATOR, role: 'lane', boards: new Set(['b']), lane: 'work' };
const claim: ClaimPrincipal = {
  kind: 'claim',
  runId: 'run_x',
  taskId: 'task_x',
  board: 'b',
  lane: 'work',
  worker: 'w',
  attempt: 1,
  scope: [],
  expiresAtSeconds: 0,
  issuedAtSeconds: 0,
};
const EVERYBODY: Readonly<Record<string, Principal>> = {
  orchestrator: ORCHESTRATOR,
  admin: { ...ORCHESTRATOR, role: 'admin' },
  observer: { ...ORCHESTRATOR, role: 'observer' },
  lane,
  claim,
  'orchestrator with aliases': { ...ORCHESTRATOR, hasMcpAliases: true },
  'lane with aliases': { ...lane, hasMcpAliases: true },
};

const OF_A_RUN =
  'show_task heartbeat progress comment output inbox complete_task block_task fail_task release_task request_changes';
const OPERATOR =
  'create_tasks list_tasks get_task wait_tasks list_lanes delegate check collect steer cancel unblock';
const SHOWN: Readonly<Record<string, string>> = {
  orchestrator: OPERATOR,
  admin: OPERATOR,
  observer: 'list_tasks get_task wait_tasks list_lanes check collect',
  lane: `claim_task ${OF_A_RUN}`,
  claim: `${OF_A_RUN} create_tasks wait_tasks delegate check collect steer cancel`,
  'orchestrator with aliases': `${OPERATOR} kanban_show kanban_list kanban_comment kanban_create kanban_link kanban_unblock delegate_task_async check_task collect_task steer_task cancel_task`,
  'lane with aliases': `claim_task ${OF_A_RUN} kanban_show kanban_complete kanban_block kanban_heartbeat kanban_comment kanban_request_review`,
};

const namesFor = (caller: Principal): string[] => [...toolsFor(caller).keys()].toSorted();
const principals = Object.entries(EVERYBODY);

test.each(principals)('%s sees its tools and no others', (name, caller) => {
  expect(namesFor(caller)).toEqual(SHOWN[name]?.split(' ').toSorted());
});

test('every alias is shown to somebody', () => {
  const shown = new Set(principals.flatMap(([, caller]) => namesFor(caller)));
  const wanted =
    'kanban_show kanban_list kanban_complete kanban_block kanban_heartbeat kanban_comment kanban_create kanban_link kanban_unblock kanban_request_review delegate_task_async check_task collect_task steer_task cancel_task list_tasks';
  for (const name of wanted.split(' ')) expect(shown, name).toContain(name);
});

describe('what a model is given', () => {
  const tools = principals.flatMap(([, caller]) => [...toolsFor(caller).values()]);

  test('no tool lets it choose where outcomes go, or that nobody is told', () => {
    for (const { name, inputSchema } of tools)
      for (const field of ['"origin"', '"subscribe"', '"silent"', '"mode"'])
        expect(JSON.stringify(inputSchema).includes(field), `${name} takes ${field}`).toBe(false);
  });

  test('schemas are closed, written out, and without nulls', () => {
    for (const { name, inputSchema } of tools) {
      expect(inputSchema, name).toMatchObject({ type: 'object', additionalProperties: false });
      const text = JSON.stringify(inputSchema);
      expect(text, name).not.toContain('$ref');
      expect(text, name).not.toContain('"null"');
    }
  });

  test('what names a field "id" keeps it', () => {
    const schema = JSON.stringify(toolsFor(ORCHESTRATOR).get('create_tasks')?.outputSchema);
    expect(schema).toContain('"properties":{"id":{"type":"string"}');
  });

  test('all tools of a principal and its instructions take a small part of a context', () => {
    for (const [name, caller] of principals) {
      const shown = [...toolsFor(caller).values()].map(({ name: tool, description, inputSchema }) => ({
        tool,
        description,
        inputSchema,
      }));
      expect(JSON.stringify(shown).length, name).toBeLessThan(24_000);
      expect(instructionsFor(audienceOf(caller)).split('\n').length, name).toBeLessThanOrEqual(12);
    }
  });
});
