-- Locks: SHARE UPDATE EXCLUSIVE on the tables below for an instant. Their indexes are built by the next migrations, beside the traffic. Safe while another version of the server runs: it prunes nothing.
CREATE TABLE "retention" (
	"board_id" integer NOT NULL,
	"kind" text NOT NULL,
	"kept_seconds" integer NOT NULL,
	"due_at" timestamp with time zone NOT NULL,
	"behind_since" timestamp with time zone,
	"place" uuid,
	"place_attempt" integer DEFAULT 0 NOT NULL,
	"left_rows" bigint DEFAULT 0 NOT NULL,
	CONSTRAINT "retention_pkey" PRIMARY KEY("board_id","kind"),
	CONSTRAINT "retention_kind_check" CHECK ("retention"."kind" IN ('events', 'finished_tasks', 'runs', 'output', 'deliveries', 'messages')),
	CONSTRAINT "retention_kept_seconds_check" CHECK ("retention"."kept_seconds" >= 1)
);
--> statement-breakpoint
CREATE INDEX "retention_due_index" ON "retention" USING btree ("due_at");--> statement-breakpoint
-- Rows that are pruned all the time leave room that has to be given back as fast: by the defaults a fifth of a table may be dead first.
ALTER TABLE "retention" SET (fillfactor = 50, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000, autovacuum_vacuum_cost_delay = 0);--> statement-breakpoint
ALTER TABLE "events" SET (autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 2000);--> statement-breakpoint
ALTER TABLE "task_details" SET (autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 1000, autovacuum_vacuum_cost_delay = 0);--> statement-breakpoint
ALTER TABLE "comments" SET (autovacuum_vacuum_scale_factor = 0.05, autovacuum_vacuum_cost_delay = 0);--> statement-breakpoint
ALTER TABLE "messages" SET (autovacuum_vacuum_scale_factor = 0.05, autovacuum_vacuum_cost_delay = 0);--> statement-breakpoint
ALTER TABLE "links" SET (autovacuum_vacuum_scale_factor = 0.05, autovacuum_vacuum_cost_delay = 0);--> statement-breakpoint
ALTER TABLE "outputs" SET (autovacuum_vacuum_scale_factor = 0.05, autovacuum_vacuum_cost_delay = 0);--> statement-breakpoint
ALTER TABLE "output_lines" SET (autovacuum_vacuum_scale_factor = 0.05, autovacuum_vacuum_cost_delay = 0);--> statement-breakpoint
ALTER TABLE "deliveries" SET (autovacuum_vacuum_scale_factor = 0.05, autovacuum_vacuum_cost_delay = 0);--> statement-breakpoint
ALTER TABLE "session_messages" SET (autovacuum_vacuum_scale_factor = 0.05, autovacuum_vacuum_cost_delay = 0);
