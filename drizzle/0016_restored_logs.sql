-- Locks: ACCESS EXCLUSIVE on "signing_keys" for a moment: the new column is written into no row. Safe while another version of the server
-- runs: it knows neither, and a restore runs without servers.
CREATE TABLE "past_incarnations" (
	"board_id" integer NOT NULL,
	"incarnation" text NOT NULL,
	"last_seq" bigint NOT NULL,
	"replaced_at" timestamp with time zone DEFAULT now() NOT NULL,
	CONSTRAINT "past_incarnations_pkey" PRIMARY KEY("board_id","incarnation")
);
--> statement-breakpoint
ALTER TABLE "signing_keys" ADD COLUMN "tokens_until" timestamp with time zone;