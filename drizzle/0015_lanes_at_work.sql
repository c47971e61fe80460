-- What is at work among many lanes, for sweeps that come every second: of a hundred thousand lanes most are neither.
-- Locks: SHARE on "lanes" while it is read through, some milliseconds for thousands of lanes; claims go on, only changes of lanes wait. Safe while
-- another version of the server runs.
CREATE INDEX "lanes_online_index" ON "lanes" USING btree ("board_id","name") WHERE is_online;--> statement-breakpoint
CREATE INDEX "lanes_draining_index" ON "lanes" USING btree ("board_id","name") WHERE is_draining;