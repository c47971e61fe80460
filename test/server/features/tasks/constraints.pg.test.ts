import { expect, test } from 'vitest';
import {
  BLOCK_KINDS,
  CLAIM_MODES,
  LANE_KINDS,
  OUTCOMES,
  ROLES,
  STATUS_MUTATIONS,
  TASK_STATUSES,
} from '../../../../src/contract/statuses.ts';
import { useTestDatabase } from '../../../fixtures/database.ts';

/** A closed vocabulary of the contract, and the constraint that must hold the database to it. */
const MIRRORS: Readonly<Record<string, readonly string[]>> = {
  tasks_status_check: TASK_STATUSES,
  tasks_blocked_kind_check: BLOCK_KINDS,
  runs_outcome_check: OUTCOMES,
  lanes_kind_check: LANE_KINDS,
  lanes_claim_mode_check: CLAIM_MODES,
  lanes_allowed_status_mutations_check: STATUS_MUTATIONS,
  api_keys_role_check: ROLES,
  claims_claimed_from_check: ['ready', 'review'],
};

test('the CHECK constraints accept exactly the words of the contract', async () => {
  const { sql } = await useTestDatabase();
  const rows = await sql<{ name: string; definition: string }[]>`
    SELECT conname AS name, pg_get_constraintdef(oid) AS definition FROM pg_constraint WHERE contype = 'c'`;
  for (const [name, words] of Object.entries(MIRRORS)) {
    const definition = rows.find((row) => row.name === name)?.definition ?? '';
    const accepted = [...definition.matchAll(/'([a-z_-]+)'::text/g)].map((match) => match[1]);
    expect(accepted.sort(), name).toEqual([...words].sort());
  }
});

test('the counter row has one column for each status, and only for those', async () => {
  const { sql } = await useTestDatabase();
  const rows = await sql<{ name: string }[]>`
    SELECT attname AS name FROM pg_attribute WHERE attrelid = 'board_seq'::regclass AND attnum > 0 AND NOT attisdropped`;
  const other = ['board_id', 'seq', 'pruned_seq', 'config_version'];
  const statuses = rows.map((row) => row.name).filter((name) => !other.includes(name));
  expect(statuses.sort()).toEqual([...TASK_STATUSES].sort());
});

test('the database itself refuses the states that must not exist', async () => {
  const { sql } = await useTestDatabase();
  const insert = (columns: Record<string, unknown>) => {
    const task = {
      board_id: 1,
      id: '01900000-0000-7000-8000-000000000001',
      status: 'ready',
      priority: 0,
      version: 1,
      attempt: 0,
      unmet_parents: 0,
      consecutive_failures: 0,
      protocol_violations: 0,
      max_failures: 2,
      status_since: new Date(),
      created_at: new Date(),
      updated_at: new Date(),
      ...columns,
    };
    return sql`INSERT INTO tasks ${sql(task as unknown as Record<string, string>)}`;
  };
  await expect(insert({ status: 'paused' })).rejects.toMatchObject({ constraint_name: 'tasks_status_check' });
  await expect(insert({ status: 'scheduled' })).rejects.toMatchObject({
    constraint_name: 'tasks_scheduled_check',
  });
  await expect(insert({ blocked_reason: 'x' })).rejects.toMatchObject({
    constraint_name: 'tasks_blocked_check',
  });
  await expect(insert({ unmet_parents: 1 })).rejects.toMatchObject({ constraint_name: 'tasks_ready_check' });
  await expect(insert({ status: 'running', attempt: 1 })).rejects.toMatchObject({
    constraint_name: 'tasks_running_check',
  });
  await expect(insert({})).resolves.toBeDefined();
});
