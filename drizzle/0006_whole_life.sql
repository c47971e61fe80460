CREATE TABLE "operation_items" (
	"board_id" integer NOT NULL,
	"operation_id" uuid NOT NULL,
	"place" integer NOT NULL,
	"task_id" uuid NOT NULL,
	"is_done" boolean DEFAULT false NOT NULL,
	"code" text,
	CONSTRAINT "operation_items_pkey" PRIMARY KEY("board_id","operation_id","place")
);
--> statement-breakpoint
CREATE TABLE "operations" (
	"board_id" integer NOT NULL,
	"id" uuid NOT NULL,
	"action" text NOT NULL,
	"parameters" jsonb DEFAULT '{}'::jsonb NOT NULL,
	"is_dry_run" boolean DEFAULT false NOT NULL,
	"status" text NOT NULL,
	"total" integer NOT NULL,
	"succeeded" integer DEFAULT 0 NOT NULL,
	"failed" integer DEFAULT 0 NOT NULL,
	"actor_type" text NOT NULL,
	"actor_id" text NOT NULL,
	"created_at" timestamp with time zone DEFAULT now() NOT NULL,
	"finished_at" timestamp with time zone,
	"stop_reason" text,
	"stopped_by_type" text,
	"stopped_by_id" text,
	CONSTRAINT "operations_pkey" PRIMARY KEY("board_id","id"),
	CONSTRAINT "operations_status_check" CHECK ("operations"."status" IN ('running', 'done', 'stopped')),
	CONSTRAINT "operations_finished_check" CHECK (("operations"."status" = 'running') = ("operations"."finished_at" IS NULL)),
	CONSTRAINT "operations_stopped_check" CHECK (("operations"."status" = 'stopped') = ("operations"."stop_reason" IS NOT NULL)),
	CONSTRAINT "operations_actor_type_check" CHECK ("operations"."actor_type" IN ('key', 'claim', 'system')),
	CONSTRAINT "operations_stopped_by_check" CHECK ("operations"."stopped_by_type" IN ('key', 'claim', 'system'))
);
--> statement-breakpoint
CREATE TABLE "links" (
	"board_id" integer NOT NULL,
	"child_id" uuid NOT NULL,
	"parent_id" uuid NOT NULL,
	"is_met" boolean NOT NULL,
	"created_at" timestamp with time zone DEFAULT now() NOT NULL,
	CONSTRAINT "links_pkey" PRIMARY KEY("board_id","child_id","parent_id"),
	CONSTRAINT "links_self_check" CHECK ("links"."child_id" <> "links"."parent_id")
);
--> statement-breakpoint
CREATE TABLE "stranded_marks" (
	"board_id" integer NOT NULL,
	"seq" bigint NOT NULL,
	CONSTRAINT "stranded_marks_pkey" PRIMARY KEY("board_id")
);
--> statement-breakpoint
CREATE TABLE "stranded_tasks" (
	"board_id" integer NOT NULL,
	"task_id" uuid NOT NULL,
	"ready_since" timestamp with time zone NOT NULL,
	"at" timestamp with time zone DEFAULT now() NOT NULL,
	CONSTRAINT "stranded_tasks_pkey" PRIMARY KEY("board_id","task_id")
);
--> statement-breakpoint
ALTER TABLE "lanes" ADD COLUMN "is_reviewer" boolean DEFAULT false NOT NULL;--> statement-breakpoint
ALTER TABLE "task_details" ADD COLUMN "parent_count" integer DEFAULT 0 NOT NULL;--> statement-breakpoint
ALTER TABLE "tasks" ADD COLUMN "has_children" boolean DEFAULT false NOT NULL;--> statement-breakpoint
ALTER TABLE "tasks" ADD COLUMN "result_attempt" integer;--> statement-breakpoint
ALTER TABLE "tasks" ADD COLUMN "reviewer" text;--> statement-breakpoint
ALTER TABLE "tasks" ADD COLUMN "implementer_lane" text;--> statement-breakpoint
ALTER TABLE "tasks" ADD COLUMN "implementer_worker" text;--> statement-breakpoint
ALTER TABLE "tasks" ADD COLUMN "block_streak" smallint DEFAULT 0 NOT NULL;--> statement-breakpoint
ALTER TABLE "tasks" ADD COLUMN "streak_kind" text;--> statement-breakpoint
ALTER TABLE "tasks" ADD COLUMN "archived_from" text;--> statement-breakpoint
CREATE INDEX "operations_running_index" ON "operations" USING btree ("board_id","id") WHERE status = 'running';--> statement-breakpoint
CREATE INDEX "operations_finished_index" ON "operations" USING btree ("finished_at") WHERE finished_at IS NOT NULL;--> statement-breakpoint
CREATE INDEX "links_parent_index" ON "links" USING btree ("board_id","parent_id","child_id");--> statement-breakpoint
CREATE INDEX "tasks_review_index" ON "tasks" USING btree ("board_id","reviewer","priority" DESC NULLS FIRST,"id") WHERE status = 'review' AND reviewer IS NOT NULL;--> statement-breakpoint
ALTER TABLE "tasks" ADD CONSTRAINT "tasks_unmet_parents_check" CHECK ("tasks"."unmet_parents" >= 0);--> statement-breakpoint
ALTER TABLE "tasks" ADD CONSTRAINT "tasks_todo_check" CHECK ("tasks"."status" <> 'todo' OR "tasks"."unmet_parents" > 0);--> statement-breakpoint
ALTER TABLE "tasks" ADD CONSTRAINT "tasks_review_check" CHECK ("tasks"."status" <> 'review' OR "tasks"."result_attempt" IS NOT NULL);--> statement-breakpoint
-- Nothing could wait for a task before, so a guess is enough: what ended as completed was done.
UPDATE "tasks" t SET "archived_from" = CASE WHEN EXISTS (
	SELECT FROM "runs" r WHERE r."board_id" = t."board_id" AND r."task_id" = t."id" AND r."attempt" = t."attempt" AND r."outcome" = 'completed'
) THEN 'done' ELSE 'cancelled' END WHERE t."status" = 'archived';
