-- lanekeeper: outside a transaction
CREATE INDEX CONCURRENTLY IF NOT EXISTS "session_messages_at_index" ON "session_messages" USING btree ("board_id","at");
