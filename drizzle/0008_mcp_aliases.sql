-- Locks: ACCESS EXCLUSIVE on "api_keys" for a moment: the new column is written into no row. Safe while another version of the server runs,
-- whose keys get the default.
ALTER TABLE "api_keys" ADD COLUMN "has_mcp_aliases" boolean DEFAULT false NOT NULL;