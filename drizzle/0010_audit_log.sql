CREATE TABLE "audit_entries" (
	"seq" bigint PRIMARY KEY NOT NULL,
	"at" timestamp with time zone NOT NULL,
	"action" text NOT NULL,
	"actor_type" text NOT NULL,
	"actor_id" text,
	"actor_name" text,
	"about_board_id" integer,
	"board" text,
	"subject" text,
	"outcome" text NOT NULL,
	"code" text,
	"count" integer DEFAULT 1 NOT NULL,
	"address" text,
	"request_id" text,
	"data" jsonb DEFAULT '{}'::jsonb NOT NULL,
	CONSTRAINT "audit_entries_actor_type_check" CHECK ("audit_entries"."actor_type" IN ('key', 'claim', 'system', 'anonymous')),
	CONSTRAINT "audit_entries_outcome_check" CHECK ("audit_entries"."outcome" IN ('done', 'refused'))
);
--> statement-breakpoint
CREATE TABLE "audit_seq" (
	"id" smallint PRIMARY KEY DEFAULT 1 NOT NULL,
	"seq" bigint NOT NULL,
	CONSTRAINT "audit_seq_single_check" CHECK ("audit_seq"."id" = 1)
);
--> statement-breakpoint
CREATE INDEX "audit_entries_board_index" ON "audit_entries" USING btree ("about_board_id","seq");--> statement-breakpoint
CREATE INDEX "audit_entries_at_index" ON "audit_entries" USING btree ("at");