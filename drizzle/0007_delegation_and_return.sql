-- Locks: ACCESS EXCLUSIVE on "tasks", "task_details" and "events" for a moment: the new columns are written into no row. Their indexes hold
-- no row yet, but SHARE on "task_details" and then on "events" is held while each is read once: some seconds for a million tasks, and about
-- as many for ten million events. Whatever changes a board waits for that.
CREATE TABLE "delegation_tasks" (
	"board_id" integer NOT NULL,
	"delegation_id" uuid NOT NULL,
	"place" smallint NOT NULL,
	"task_id" uuid NOT NULL,
	"goal" text,
	"context" text,
	"toolsets" jsonb,
	"model" text,
	CONSTRAINT "delegation_tasks_pkey" PRIMARY KEY("board_id","delegation_id","place")
);
--> statement-breakpoint
CREATE TABLE "delegations" (
	"board_id" integer NOT NULL,
	"id" uuid NOT NULL,
	"status" text NOT NULL,
	"goal" text,
	"context" text,
	"origin" jsonb,
	"session_id" text,
	"join_mode" text NOT NULL,
	"on_blocked" text NOT NULL,
	"on_decided" text NOT NULL,
	"capacity_key" text,
	"depth" smallint NOT NULL,
	"child_count" integer NOT NULL,
	"deadline_at" timestamp with time zone,
	"results" jsonb,
	"reason" text,
	"has_leftovers" boolean DEFAULT false NOT NULL,
	"created_by_type" text NOT NULL,
	"created_by_id" text NOT NULL,
	"created_by_task" uuid,
	"created_at" timestamp with time zone DEFAULT now() NOT NULL,
	"completed_at" timestamp with time zone,
	CONSTRAINT "delegations_pkey" PRIMARY KEY("board_id","id"),
	CONSTRAINT "delegations_status_check" CHECK ("delegations"."status" IN ('running', 'completed', 'partial', 'failed', 'cancelled')),
	CONSTRAINT "delegations_join_mode_check" CHECK ("delegations"."join_mode" IN ('all', 'any')),
	CONSTRAINT "delegations_on_blocked_check" CHECK ("delegations"."on_blocked" IN ('end', 'wait')),
	CONSTRAINT "delegations_on_decided_check" CHECK ("delegations"."on_decided" IN ('cancel', 'leave')),
	CONSTRAINT "delegations_completed_check" CHECK (("delegations"."status" = 'running') = ("delegations"."completed_at" IS NULL) AND ("delegations"."status" = 'running') = ("delegations"."results" IS NULL)),
	CONSTRAINT "delegations_created_by_type_check" CHECK ("delegations"."created_by_type" IN ('key', 'claim', 'system'))
);
--> statement-breakpoint
CREATE TABLE "deliveries" (
	"board_id" integer NOT NULL,
	"id" uuid NOT NULL,
	"subscription_id" uuid NOT NULL,
	"seq" bigint NOT NULL,
	"kind" text NOT NULL,
	"task_id" uuid,
	"delegation_id" uuid,
	"mode" text NOT NULL,
	"wake" boolean NOT NULL,
	"status" text NOT NULL,
	"owner" text,
	"platform" text NOT NULL,
	"session_key" text NOT NULL,
	"session_id" text,
	"is_webhook" boolean NOT NULL,
	"webhook_host" text,
	"due_at" timestamp with time zone NOT NULL,
	"lease_id" uuid,
	"lease_expires_at" timestamp with time zone,
	"attempt" integer DEFAULT 0 NOT NULL,
	"failures" integer DEFAULT 0 NOT NULL,
	"last_error" text,
	"message_id" text,
	"text" text,
	"is_fallback" boolean DEFAULT false NOT NULL,
	"synthesis_task_id" uuid,
	"synthesis_due_at" timestamp with time zone,
	"created_at" timestamp with time zone DEFAULT now() NOT NULL,
	"finished_at" timestamp with time zone,
	CONSTRAINT "deliveries_pkey" PRIMARY KEY("board_id","id"),
	CONSTRAINT "deliveries_status_check" CHECK ("deliveries"."status" IN ('pending', 'synthesizing', 'leased', 'acked', 'dead')),
	CONSTRAINT "deliveries_mode_check" CHECK ("deliveries"."mode" IN ('direct', 'synthesize', 'silent')),
	CONSTRAINT "deliveries_lease_check" CHECK (("deliveries"."status" = 'leased') <= ("deliveries"."lease_id" IS NOT NULL AND "deliveries"."lease_expires_at" IS NOT NULL)),
	CONSTRAINT "deliveries_synthesis_check" CHECK ("deliveries"."status" <> 'synthesizing' OR "deliveries"."synthesis_due_at" IS NOT NULL),
	CONSTRAINT "deliveries_webhook_check" CHECK ("deliveries"."is_webhook" = ("deliveries"."webhook_host" IS NOT NULL)),
	CONSTRAINT "deliveries_finished_check" CHECK (("deliveries"."status" IN ('acked', 'dead')) = ("deliveries"."finished_at" IS NOT NULL))
);
--> statement-breakpoint
CREATE TABLE "session_messages" (
	"board_id" integer NOT NULL,
	"session_id" text NOT NULL,
	"at" timestamp with time zone NOT NULL,
	"delivery_id" uuid NOT NULL,
	"task_id" uuid,
	"delegation_id" uuid,
	"platform" text NOT NULL,
	"chat_id" text NOT NULL,
	"thread_id" text NOT NULL,
	"message_id" text,
	"text" text NOT NULL,
	CONSTRAINT "session_messages_pkey" PRIMARY KEY("board_id","session_id","at","delivery_id")
);
--> statement-breakpoint
CREATE TABLE "subscriptions" (
	"board_id" integer NOT NULL,
	"id" uuid NOT NULL,
	"subject_id" uuid NOT NULL,
	"is_delegation" boolean NOT NULL,
	"platform" text NOT NULL,
	"chat_id" text DEFAULT '' NOT NULL,
	"thread_id" text DEFAULT '' NOT NULL,
	"user_id" text,
	"mode" text NOT NULL,
	"wake" boolean NOT NULL,
	"kinds" text[],
	"origin" jsonb DEFAULT '{}'::jsonb NOT NULL,
	"owner" text,
	"webhook_url" text,
	"webhook_secret" text,
	"webhook_old_secret" text,
	"webhook_old_until" timestamp with time zone,
	"cursor_seq" bigint NOT NULL,
	"created_by_type" text NOT NULL,
	"created_by_id" text NOT NULL,
	"created_at" timestamp with time zone DEFAULT now() NOT NULL,
	"updated_at" timestamp with time zone DEFAULT now() NOT NULL,
	CONSTRAINT "subscriptions_pkey" PRIMARY KEY("board_id","id"),
	CONSTRAINT "subscriptions_mode_check" CHECK ("subscriptions"."mode" IN ('direct', 'synthesize', 'silent')),
	CONSTRAINT "subscriptions_created_by_type_check" CHECK ("subscriptions"."created_by_type" IN ('key', 'claim', 'system'))
);
--> statement-breakpoint
ALTER TABLE "events" ADD COLUMN "delegation_id" uuid;--> statement-breakpoint
ALTER TABLE "task_details" ADD COLUMN "origin" jsonb;--> statement-breakpoint
ALTER TABLE "task_details" ADD COLUMN "origin_session" text;--> statement-breakpoint
ALTER TABLE "task_details" ADD COLUMN "delegation_id" uuid;--> statement-breakpoint
ALTER TABLE "task_details" ADD COLUMN "delegation_depth" smallint DEFAULT 0 NOT NULL;--> statement-breakpoint
ALTER TABLE "tasks" ADD COLUMN "is_followed" boolean DEFAULT false NOT NULL;--> statement-breakpoint
ALTER TABLE "tasks" ADD COLUMN "is_system" boolean DEFAULT false NOT NULL;--> statement-breakpoint
CREATE UNIQUE INDEX "delegation_tasks_task_key" ON "delegation_tasks" USING btree ("board_id","task_id");--> statement-breakpoint
CREATE INDEX "delegations_capacity_index" ON "delegations" USING btree ("board_id","capacity_key") WHERE status = 'running' AND capacity_key IS NOT NULL;--> statement-breakpoint
CREATE INDEX "delegations_session_index" ON "delegations" USING btree ("board_id","session_id","id") WHERE session_id IS NOT NULL;--> statement-breakpoint
CREATE INDEX "delegations_created_by_task_index" ON "delegations" USING btree ("board_id","created_by_task","id") WHERE created_by_task IS NOT NULL;--> statement-breakpoint
CREATE INDEX "delegations_deadline_index" ON "delegations" USING btree ("deadline_at","board_id") WHERE status = 'running' AND deadline_at IS NOT NULL;--> statement-breakpoint
CREATE INDEX "delegations_running_index" ON "delegations" USING btree ("board_id","id") WHERE status = 'running';--> statement-breakpoint
CREATE INDEX "delegations_leftovers_index" ON "delegations" USING btree ("board_id","id") WHERE has_leftovers;--> statement-breakpoint
CREATE INDEX "delegations_status_index" ON "delegations" USING btree ("board_id","status","id");--> statement-breakpoint
CREATE UNIQUE INDEX "deliveries_event_key" ON "deliveries" USING btree ("board_id","subscription_id","seq");--> statement-breakpoint
CREATE INDEX "deliveries_order_index" ON "deliveries" USING btree ("board_id","subscription_id","seq") WHERE finished_at IS NULL;--> statement-breakpoint
CREATE INDEX "deliveries_pending_index" ON "deliveries" USING btree ("board_id",(coalesce(owner, '')),"platform","due_at","id") WHERE status = 'pending' AND NOT is_webhook;--> statement-breakpoint
CREATE INDEX "deliveries_session_index" ON "deliveries" USING btree ("board_id",(coalesce(owner, '')),"platform","session_key","due_at","id") WHERE status = 'pending' AND NOT is_webhook;--> statement-breakpoint
CREATE INDEX "deliveries_webhook_index" ON "deliveries" USING btree ("board_id","webhook_host","due_at","id") WHERE status = 'pending' AND is_webhook;--> statement-breakpoint
CREATE INDEX "deliveries_webhook_session_index" ON "deliveries" USING btree ("board_id","webhook_host","session_key","due_at","id") WHERE status = 'pending' AND is_webhook;--> statement-breakpoint
CREATE INDEX "deliveries_leased_index" ON "deliveries" USING btree ("board_id","session_key") WHERE status = 'leased';--> statement-breakpoint
CREATE INDEX "deliveries_synthesis_index" ON "deliveries" USING btree ("board_id","session_key","seq") WHERE synthesis_due_at IS NOT NULL;--> statement-breakpoint
CREATE INDEX "deliveries_status_index" ON "deliveries" USING btree ("board_id","status","id");--> statement-breakpoint
CREATE INDEX "deliveries_task_index" ON "deliveries" USING btree ("board_id","task_id") WHERE task_id IS NOT NULL;--> statement-breakpoint
CREATE INDEX "deliveries_delegation_index" ON "deliveries" USING btree ("board_id","delegation_id") WHERE delegation_id IS NOT NULL;--> statement-breakpoint
CREATE INDEX "session_messages_task_index" ON "session_messages" USING btree ("board_id","task_id") WHERE task_id IS NOT NULL;--> statement-breakpoint
CREATE INDEX "session_messages_delegation_index" ON "session_messages" USING btree ("board_id","delegation_id") WHERE delegation_id IS NOT NULL;--> statement-breakpoint
CREATE UNIQUE INDEX "subscriptions_target_key" ON "subscriptions" USING btree ("board_id","subject_id","platform","chat_id","thread_id");--> statement-breakpoint
CREATE INDEX "events_delegation_index" ON "events" USING btree ("board_id","delegation_id","seq") WHERE delegation_id IS NOT NULL;--> statement-breakpoint
CREATE INDEX "task_details_delegation_index" ON "task_details" USING btree ("board_id","delegation_id","task_id") WHERE delegation_id IS NOT NULL;--> statement-breakpoint
CREATE INDEX "task_details_origin_session_index" ON "task_details" USING btree ("board_id","origin_session","task_id") WHERE origin_session IS NOT NULL;