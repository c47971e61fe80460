-- Locks: ACCESS EXCLUSIVE on "api_keys" for a moment: the new column is written into no row. The rest is new tables. Safe while another version
-- of the server runs: it knows neither.
CREATE TABLE "sign_in_codes" (
	"hash" text PRIMARY KEY NOT NULL,
	"role" text NOT NULL,
	"name" text NOT NULL,
	"boards" text[],
	"created_by" uuid,
	"expires_at" timestamp with time zone NOT NULL,
	CONSTRAINT "sign_in_codes_role_check" CHECK ("sign_in_codes"."role" IN ('admin', 'orchestrator', 'observer'))
);
--> statement-breakpoint
CREATE TABLE "board_minutes" (
	"board_id" integer NOT NULL,
	"minute" timestamp with time zone NOT NULL,
	"created" integer DEFAULT 0 NOT NULL,
	"claims" integer DEFAULT 0 NOT NULL,
	"ends" jsonb DEFAULT '{}'::jsonb NOT NULL,
	"waits" jsonb DEFAULT '{}'::jsonb NOT NULL,
	"runs" jsonb DEFAULT '{}'::jsonb NOT NULL,
	"depth" jsonb DEFAULT '{}'::jsonb NOT NULL,
	"lanes" jsonb DEFAULT '{}'::jsonb NOT NULL,
	CONSTRAINT "board_minutes_pkey" PRIMARY KEY("board_id","minute")
);
--> statement-breakpoint
CREATE TABLE "stats_progress" (
	"board_id" integer NOT NULL,
	"seq" bigint DEFAULT 0 NOT NULL,
	CONSTRAINT "stats_progress_pkey" PRIMARY KEY("board_id")
);
--> statement-breakpoint
ALTER TABLE "api_keys" ADD COLUMN "is_session" boolean DEFAULT false NOT NULL;