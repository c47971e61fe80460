-- lanekeeper: outside a transaction
CREATE INDEX CONCURRENTLY IF NOT EXISTS "deliveries_finished_index" ON "deliveries" USING btree ("board_id","finished_at") WHERE finished_at IS NOT NULL;
