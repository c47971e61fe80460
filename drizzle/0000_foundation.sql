CREATE TABLE "board_seq" (
	"board_id" integer NOT NULL,
	"seq" bigint DEFAULT 0 NOT NULL,
	"pruned_seq" bigint DEFAULT 0 NOT NULL,
	"config_version" integer DEFAULT 1 NOT NULL,
	"triage" bigint DEFAULT 0 NOT NULL,
	"todo" bigint DEFAULT 0 NOT NULL,
	"scheduled" bigint DEFAULT 0 NOT NULL,
	"ready" bigint DEFAULT 0 NOT NULL,
	"running" bigint DEFAULT 0 NOT NULL,
	"blocked" bigint DEFAULT 0 NOT NULL,
	"review" bigint DEFAULT 0 NOT NULL,
	"done" bigint DEFAULT 0 NOT NULL,
	"cancelled" bigint DEFAULT 0 NOT NULL,
	"archived" bigint DEFAULT 0 NOT NULL,
	CONSTRAINT "board_seq_pkey" PRIMARY KEY("board_id")
);
--> statement-breakpoint
CREATE TABLE "boards" (
	"id" integer PRIMARY KEY GENERATED ALWAYS AS IDENTITY (sequence name "boards_id_seq" INCREMENT BY 1 MINVALUE 1 MAXVALUE 2147483647 START WITH 1 CACHE 1),
	"name" text NOT NULL,
	"title" text,
	"description" text,
	"settings" jsonb DEFAULT '{}'::jsonb NOT NULL,
	"log_incarnation" text NOT NULL,
	"version" integer DEFAULT 1 NOT NULL,
	"created_at" timestamp with time zone DEFAULT now() NOT NULL,
	"updated_at" timestamp with time zone DEFAULT now() NOT NULL,
	CONSTRAINT "boards_name_key" UNIQUE("name"),
	CONSTRAINT "boards_name_check" CHECK ("boards"."name" ~ '^[a-z0-9][a-z0-9._-]{0,63}$')
);
--> statement-breakpoint
CREATE TABLE "api_keys" (
	"id" uuid PRIMARY KEY NOT NULL,
	"hash" text NOT NULL,
	"role" text NOT NULL,
	"name" text NOT NULL,
	"boards" text[],
	"lane" text,
	"owner" text,
	"created_at" timestamp with time zone DEFAULT now() NOT NULL,
	"expires_at" timestamp with time zone,
	"revoked_at" timestamp with time zone,
	"last_used_at" timestamp with time zone,
	CONSTRAINT "api_keys_role_check" CHECK ("api_keys"."role" IN ('admin', 'orchestrator', 'observer', 'lane')),
	CONSTRAINT "api_keys_lane_check" CHECK (("api_keys"."role" = 'lane') = ("api_keys"."lane" IS NOT NULL))
);
--> statement-breakpoint
CREATE TABLE "idempotency_keys" (
	"board_id" integer NOT NULL,
	"principal" text NOT NULL,
	"route" text NOT NULL,
	"key" text NOT NULL,
	"fingerprint" text NOT NULL,
	"status" integer NOT NULL,
	"answer" jsonb NOT NULL,
	"created_at" timestamp with time zone DEFAULT now() NOT NULL,
	CONSTRAINT "idempotency_keys_pkey" PRIMARY KEY("board_id","principal","route","key")
);
--> statement-breakpoint
CREATE TABLE "signing_keys" (
	"kid" text PRIMARY KEY NOT NULL,
	"public_jwk" jsonb NOT NULL,
	"private_jwk" text NOT NULL,
	"created_at" timestamp with time zone DEFAULT now() NOT NULL,
	"signs_from" timestamp with time zone NOT NULL
);
--> statement-breakpoint
CREATE TABLE "events" (
	"board_id" integer NOT NULL,
	"seq" bigint NOT NULL,
	"kind" text NOT NULL,
	"at" timestamp with time zone NOT NULL,
	"task_id" uuid,
	"run_id" uuid,
	"lane" text,
	"worker" text,
	"attempt" integer,
	"task_version" integer,
	"actor_type" text NOT NULL,
	"actor_id" text NOT NULL,
	"data" jsonb NOT NULL,
	CONSTRAINT "events_pkey" PRIMARY KEY("board_id","seq"),
	CONSTRAINT "events_actor_type_check" CHECK ("events"."actor_type" IN ('key', 'claim', 'system'))
);
--> statement-breakpoint
CREATE TABLE "lanes" (
	"board_id" integer NOT NULL,
	"name" text NOT NULL,
	"kind" text NOT NULL,
	"claim_mode" text NOT NULL,
	"allowed_status_mutations" text NOT NULL,
	"max_concurrent_claims" integer,
	"lease_seconds" integer NOT NULL,
	"no_progress_seconds" integer,
	"max_runtime_seconds" integer,
	"is_paused" boolean DEFAULT false NOT NULL,
	"is_draining" boolean DEFAULT false NOT NULL,
	"epoch" integer DEFAULT 1 NOT NULL,
	"labels" jsonb DEFAULT '{}'::jsonb NOT NULL,
	"description" text,
	"spawn" jsonb,
	"version" integer DEFAULT 1 NOT NULL,
	"created_at" timestamp with time zone DEFAULT now() NOT NULL,
	"updated_at" timestamp with time zone DEFAULT now() NOT NULL,
	CONSTRAINT "lanes_pkey" PRIMARY KEY("board_id","name"),
	CONSTRAINT "lanes_name_check" CHECK ("lanes"."name" ~ '^[a-z0-9][a-z0-9._-]{0,63}$'),
	CONSTRAINT "lanes_kind_check" CHECK ("lanes"."kind" IN ('persistent', 'spawn', 'human')),
	CONSTRAINT "lanes_claim_mode_check" CHECK ("lanes"."claim_mode" IN ('pull-or-watch', 'pull', 'watch', 'push')),
	CONSTRAINT "lanes_allowed_status_mutations_check" CHECK ("lanes"."allowed_status_mutations" IN ('own-claimed-only', 'none')),
	CONSTRAINT "lanes_lease_seconds_check" CHECK ("lanes"."lease_seconds" BETWEEN 1 AND 86400),
	CONSTRAINT "lanes_max_concurrent_claims_check" CHECK ("lanes"."max_concurrent_claims" >= 1)
);
--> statement-breakpoint
CREATE TABLE "workers" (
	"board_id" integer NOT NULL,
	"lane" text NOT NULL,
	"worker" text NOT NULL,
	"version" text,
	"last_seen_at" timestamp with time zone NOT NULL,
	CONSTRAINT "workers_pkey" PRIMARY KEY("board_id","lane","worker")
);
--> statement-breakpoint
CREATE TABLE "claims" (
	"board_id" integer NOT NULL,
	"task_id" uuid NOT NULL,
	"run_id" uuid NOT NULL,
	"attempt" integer NOT NULL,
	"lane" text NOT NULL,
	"worker" text NOT NULL,
	"claimed_from" text NOT NULL,
	"claimed_at" timestamp with time zone NOT NULL,
	"lease_seconds" integer NOT NULL,
	"lease_expires_at" timestamp with time zone NOT NULL,
	"runtime_expires_at" timestamp with time zone,
	"no_progress_seconds" integer,
	"last_heartbeat_at" timestamp with time zone,
	"last_progress_at" timestamp with time zone NOT NULL,
	"progress" double precision,
	"heartbeat_logged_at" timestamp with time zone,
	"is_cancel_requested" boolean DEFAULT false NOT NULL,
	"cancel_deadline_at" timestamp with time zone,
	"cancel_reason" text,
	CONSTRAINT "claims_pkey" PRIMARY KEY("board_id","task_id"),
	CONSTRAINT "claims_claimed_from_check" CHECK ("claims"."claimed_from" IN ('ready', 'review')),
	CONSTRAINT "claims_cancel_check" CHECK ("claims"."is_cancel_requested" = ("claims"."cancel_deadline_at" IS NOT NULL))
);
--> statement-breakpoint
CREATE TABLE "runs" (
	"board_id" integer NOT NULL,
	"task_id" uuid NOT NULL,
	"attempt" integer NOT NULL,
	"id" uuid NOT NULL,
	"lane" text,
	"worker" text,
	"outcome" text,
	"started_at" timestamp with time zone NOT NULL,
	"ended_at" timestamp with time zone,
	"ended_by_type" text,
	"ended_by_id" text,
	"end_fingerprint" text,
	"summary" text,
	"result" jsonb,
	"metadata" jsonb,
	"error" text,
	"checkpoint" jsonb,
	"evidence" jsonb,
	CONSTRAINT "runs_pkey" PRIMARY KEY("board_id","task_id","attempt"),
	CONSTRAINT "runs_outcome_check" CHECK ("runs"."outcome" IN ('completed', 'changes_requested', 'blocked', 'released', 'failed', 'crashed', 'timed_out', 'reclaimed', 'cancelled')),
	CONSTRAINT "runs_ended_check" CHECK (("runs"."outcome" IS NULL) = ("runs"."ended_at" IS NULL)),
	CONSTRAINT "runs_ended_by_type_check" CHECK ("runs"."ended_by_type" IN ('key', 'claim', 'system'))
);
--> statement-breakpoint
CREATE TABLE "comments" (
	"board_id" integer NOT NULL,
	"task_id" uuid NOT NULL,
	"id" uuid NOT NULL,
	"body" text NOT NULL,
	"author_type" text NOT NULL,
	"author_id" text NOT NULL,
	"at" timestamp with time zone DEFAULT now() NOT NULL,
	CONSTRAINT "comments_pkey" PRIMARY KEY("board_id","task_id","id"),
	CONSTRAINT "comments_author_type_check" CHECK ("comments"."author_type" IN ('key', 'claim', 'system'))
);
--> statement-breakpoint
CREATE TABLE "task_details" (
	"board_id" integer NOT NULL,
	"task_id" uuid NOT NULL,
	"title" text NOT NULL,
	"body" text,
	"payload" jsonb,
	"labels" jsonb DEFAULT '{}'::jsonb NOT NULL,
	"backoff" jsonb,
	"tenant" text,
	"external_ref" text,
	"idempotency_key" text,
	"is_idempotency_key_held" boolean DEFAULT true NOT NULL,
	"traceparent" text,
	"comment_count" integer DEFAULT 0 NOT NULL,
	"created_by_type" text NOT NULL,
	"created_by_id" text NOT NULL,
	"created_by_run" uuid,
	CONSTRAINT "task_details_pkey" PRIMARY KEY("board_id","task_id"),
	CONSTRAINT "task_details_created_by_type_check" CHECK ("task_details"."created_by_type" IN ('key', 'claim', 'system'))
);
--> statement-breakpoint
CREATE TABLE "tasks" (
	"board_id" integer NOT NULL,
	"id" uuid NOT NULL,
	"lane" text,
	"status" text NOT NULL,
	"priority" integer NOT NULL,
	"version" integer NOT NULL,
	"attempt" integer NOT NULL,
	"unmet_parents" integer NOT NULL,
	"consecutive_failures" smallint NOT NULL,
	"protocol_violations" smallint NOT NULL,
	"max_failures" smallint NOT NULL,
	"max_runtime_seconds" integer,
	"no_progress_seconds" integer,
	"run_at" timestamp with time zone,
	"blocked_kind" text,
	"blocked_reason" text,
	"status_since" timestamp with time zone NOT NULL,
	"created_at" timestamp with time zone NOT NULL,
	"updated_at" timestamp with time zone NOT NULL,
	CONSTRAINT "tasks_pkey" PRIMARY KEY("board_id","id"),
	CONSTRAINT "tasks_status_check" CHECK ("tasks"."status" IN ('triage', 'todo', 'scheduled', 'ready', 'running', 'blocked', 'review', 'done', 'cancelled', 'archived')),
	CONSTRAINT "tasks_scheduled_check" CHECK ("tasks"."status" <> 'scheduled' OR "tasks"."run_at" IS NOT NULL),
	CONSTRAINT "tasks_blocked_check" CHECK ("tasks"."status" = 'blocked' OR ("tasks"."blocked_kind" IS NULL AND "tasks"."blocked_reason" IS NULL)),
	CONSTRAINT "tasks_blocked_kind_check" CHECK ("tasks"."blocked_kind" IN ('needs_input', 'dependency', 'capability', 'transient', 'gave_up', 'operator')),
	CONSTRAINT "tasks_ready_check" CHECK ("tasks"."status" <> 'ready' OR "tasks"."unmet_parents" = 0),
	CONSTRAINT "tasks_running_check" CHECK ("tasks"."status" <> 'running' OR ("tasks"."lane" IS NOT NULL AND "tasks"."attempt" >= 1)),
	CONSTRAINT "tasks_max_failures_check" CHECK ("tasks"."max_failures" >= 1)
);
--> statement-breakpoint
CREATE UNIQUE INDEX "api_keys_hash_key" ON "api_keys" USING btree ("hash");--> statement-breakpoint
CREATE INDEX "events_task_index" ON "events" USING btree ("board_id","task_id","seq") WHERE task_id IS NOT NULL;--> statement-breakpoint
CREATE INDEX "claims_lane_index" ON "claims" USING btree ("board_id","lane") WHERE lane <> '';--> statement-breakpoint
CREATE UNIQUE INDEX "runs_id_key" ON "runs" USING btree ("board_id","id") WHERE id IS NOT NULL;--> statement-breakpoint
CREATE UNIQUE INDEX "task_details_idempotency_key" ON "task_details" USING btree ("board_id","idempotency_key") WHERE idempotency_key IS NOT NULL AND is_idempotency_key_held;--> statement-breakpoint
CREATE UNIQUE INDEX "task_details_external_ref_key" ON "task_details" USING btree ("board_id","external_ref") WHERE external_ref IS NOT NULL;--> statement-breakpoint
CREATE INDEX "task_details_created_by_run_index" ON "task_details" USING btree ("board_id","created_by_run") WHERE created_by_run IS NOT NULL;--> statement-breakpoint
CREATE INDEX "tasks_ready_index" ON "tasks" USING btree ("board_id","lane","priority" DESC NULLS FIRST,"id") WHERE status = 'ready';--> statement-breakpoint
CREATE INDEX "tasks_scheduled_index" ON "tasks" USING btree ("run_at","board_id") WHERE status = 'scheduled';--> statement-breakpoint
CREATE INDEX "tasks_status_index" ON "tasks" USING btree ("board_id","status","id") WHERE status IN ('triage', 'todo', 'scheduled', 'blocked', 'review', 'cancelled', 'archived');