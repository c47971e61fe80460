CREATE TABLE "messages" (
	"board_id" integer NOT NULL,
	"task_id" uuid NOT NULL,
	"id" uuid NOT NULL,
	"text" text NOT NULL,
	"author_type" text NOT NULL,
	"author_id" text NOT NULL,
	"at" timestamp with time zone DEFAULT now() NOT NULL,
	"run_id" uuid,
	"delivered_at" timestamp with time zone,
	"acknowledged_at" timestamp with time zone,
	"missed_at" timestamp with time zone,
	CONSTRAINT "messages_pkey" PRIMARY KEY("board_id","task_id","id"),
	CONSTRAINT "messages_author_type_check" CHECK ("messages"."author_type" IN ('key', 'claim', 'system')),
	CONSTRAINT "messages_state_check" CHECK ("messages"."acknowledged_at" IS NULL OR "messages"."missed_at" IS NULL)
);
--> statement-breakpoint
CREATE TABLE "output_lines" (
	"board_id" integer NOT NULL,
	"task_id" uuid NOT NULL,
	"slot" smallint NOT NULL,
	"number" bigint NOT NULL,
	"run_id" uuid NOT NULL,
	"at" timestamp with time zone NOT NULL,
	"text" text NOT NULL,
	CONSTRAINT "output_lines_pkey" PRIMARY KEY("board_id","task_id","slot")
);
--> statement-breakpoint
CREATE TABLE "outputs" (
	"board_id" integer NOT NULL,
	"task_id" uuid NOT NULL,
	"line_count" bigint NOT NULL,
	"updated_at" timestamp with time zone NOT NULL,
	CONSTRAINT "outputs_pkey" PRIMARY KEY("board_id","task_id")
);
--> statement-breakpoint
CREATE TABLE "pulse" (
	"id" smallint PRIMARY KEY DEFAULT 1 NOT NULL,
	"beat_at" timestamp with time zone NOT NULL,
	CONSTRAINT "pulse_single_check" CHECK ("pulse"."id" = 1)
);
--> statement-breakpoint
ALTER TABLE "lanes" ADD COLUMN "is_online" boolean DEFAULT false NOT NULL;--> statement-breakpoint
ALTER TABLE "workers" ADD COLUMN "socket_id" uuid;--> statement-breakpoint
ALTER TABLE "workers" ADD COLUMN "socket_opened_at" timestamp with time zone;--> statement-breakpoint
ALTER TABLE "workers" ADD COLUMN "socket_closed_at" timestamp with time zone;--> statement-breakpoint
ALTER TABLE "claims" ADD COLUMN "is_crash_on_disconnect" boolean DEFAULT false NOT NULL;--> statement-breakpoint
ALTER TABLE "claims" ADD COLUMN "is_superseded" boolean DEFAULT false NOT NULL;--> statement-breakpoint
ALTER TABLE "claims" ADD COLUMN "has_messages" boolean DEFAULT false NOT NULL;--> statement-breakpoint
ALTER TABLE "task_details" ADD COLUMN "message_count" integer DEFAULT 0 NOT NULL;--> statement-breakpoint
CREATE INDEX "outputs_updated_index" ON "outputs" USING btree ("board_id","updated_at");