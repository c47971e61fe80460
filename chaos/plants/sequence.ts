/**
 * Sequence numbers that are taken before the commit instead of under the lock that orders commits, as a database sequence would give
 * them: numbers of transactions that fail are gaps, and a later number may be seen before an earlier one. The pause between taking the
 * number and the commit is what any slow statement would be.
 *
 * The counter row becomes a view whose updates take their numbers from a sequence; everything else goes on to the row. The numbers of boards
 * beside the one of the run are right, or they would have gaps for no other reason than that they share it.
 */
import { TASK_STATUSES } from '../../src/contract/statuses.ts';
import type { Plant } from './plant.ts';

const counters = [...TASK_STATUSES];
const list = counters.join(', ');
const chaosBoard = "(SELECT id FROM boards WHERE name = 'chaos')";
const set = counters.map((status) => `${status} = ${status} + NEW.${status} - OLD.${status}`).join(', ');

export const sequence: Plant = {
  name: 'sequence',
  properties: [5, 6],
  patches: [],
  sql: `
    CREATE SEQUENCE chaos_seq;
    SELECT setval('chaos_seq', (SELECT seq FROM board_seq WHERE board_id = ${chaosBoard}));
    ALTER TABLE board_seq RENAME TO board_counters;
    CREATE VIEW board_seq AS
      SELECT board_id, CASE WHEN board_id = ${chaosBoard} THEN (SELECT last_value FROM chaos_seq) ELSE seq END AS seq, pruned_seq,
        config_version, ${list} FROM board_counters;
    CREATE FUNCTION chaos_take() RETURNS trigger LANGUAGE plpgsql AS $$
    DECLARE
      wanted bigint := NEW.seq - OLD.seq;
    BEGIN
      IF NEW.board_id <> ${chaosBoard} THEN
        UPDATE board_counters SET seq = seq + wanted, pruned_seq = pruned_seq + NEW.pruned_seq - OLD.pruned_seq,
          config_version = config_version + NEW.config_version - OLD.config_version, ${set}
        WHERE board_id = NEW.board_id RETURNING seq INTO NEW.seq;
        RETURN NEW;
      END IF;
      -- A block of them at once; held for no longer than that.
      PERFORM pg_advisory_lock(727272);
      NEW.seq := nextval('chaos_seq') + wanted - 1;
      PERFORM setval('chaos_seq', NEW.seq);
      PERFORM pg_advisory_unlock(727272);
      PERFORM pg_sleep(random() * 0.02);
      UPDATE board_counters SET config_version = config_version + NEW.config_version - OLD.config_version, ${set}
      WHERE board_id = NEW.board_id;
      RETURN NEW;
    END $$;
    CREATE TRIGGER chaos_take INSTEAD OF UPDATE ON board_seq FOR EACH ROW EXECUTE FUNCTION chaos_take();`,
};
