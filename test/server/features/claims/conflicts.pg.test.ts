/** A statement that Postgres rolls back for another's sake is no failure of its caller. */
import { expect, onTestFinished, test } from 'vitest';
import { endClaim, expectStatus } from '../../../fixtures/board.ts';
import { changeTable } from '../../../fixtures/change-table.ts';
import { useTwoServers } from '../../../fixtures/two-servers.ts';

const servers = useTwoServers();

/** The next `count` changes of claims end as the victims of a deadlock. A sequence is not rolled back. */
async function makeConflicts(count: number): Promise<void> {
  const change = (statements: string) => changeTable(servers.database.sql, 'claims', statements);
  await change(`
    CREATE SEQUENCE conflicts;
    CREATE FUNCTION be_victim() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
      IF nextval('conflicts') <= ${count} THEN RAISE EXCEPTION 'deadlock detected' USING ERRCODE = '40P01'; END IF;
      RETURN coalesce(NEW, OLD);
    END $$;
    CREATE TRIGGER be_victim BEFORE UPDATE OR DELETE ON claims FOR EACH ROW EXECUTE FUNCTION be_victim();`);
  onTestFinished(() =>
    change('DROP TRIGGER be_victim ON claims; DROP FUNCTION be_victim; DROP SEQUENCE conflicts;'),
  );
}

test.each(['complete', 'heartbeat', 'release'])(
  'a %s alone in its batch survives conflicts',
  async (verb) => {
    const [board] = await servers.board();
    await board.lane('work');
    const task = await board.task('work');
    const claim = await board.claim('work');
    await makeConflicts(2);
    expectStatus(await endClaim(board.server, claim, verb), 200);
    const status = { complete: 'done', heartbeat: 'running', release: 'ready' }[verb];
    expect((await board.read(task.id)).status).toBe(status);
  },
);
