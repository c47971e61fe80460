-- lanekeeper: outside a transaction
CREATE INDEX CONCURRENTLY IF NOT EXISTS "deliveries_open_index" ON "deliveries" USING btree ("board_id","seq") WHERE finished_at IS NULL;
