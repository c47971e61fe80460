-- Locks: SHARE on "workers" while its index is built, some ms for 10,000 workers: sightings and hellos wait for that. Safe while another
-- version of the server runs, which knows nothing of "amnesties" and waits for locked claims instead.
CREATE TABLE "amnesties" (
	"board_id" integer NOT NULL,
	"task_id" uuid NOT NULL,
	"attempt" integer NOT NULL,
	"began_at" timestamp with time zone NOT NULL,
	"ended_at" timestamp with time zone NOT NULL,
	CONSTRAINT "amnesties_pkey" PRIMARY KEY("board_id","task_id","attempt","began_at")
);
--> statement-breakpoint
CREATE INDEX "workers_opened_index" ON "workers" USING btree ("board_id","socket_opened_at");
