/** API keys and signing keys (global: they exist before any board), and remembered answers. */
import { sql } from 'drizzle-orm';
import {
  boolean,
  check,
  integer,
  jsonb,
  pgTable,
  primaryKey,
  text,
  timestamp,
  uniqueIndex,
  uuid,
} from 'drizzle-orm/pg-core';

const at = (name: string) => timestamp(name, { withTimezone: true });

export const apiKeys = pgTable(
  'api_keys',
  {
    id: uuid('id').primaryKey(),
    /** SHA-256 of the whole key, in hex; the key itself is nowhere. */
    hash: text('hash').notNull(),
    role: text('role').notNull(),
    name: text('name').notNull(),
    /** null: every board. */
    boards: text('boards').array(),
    lane: text('lane'),
    owner: text('owner'),
    createdAt: at('created_at').notNull().defaultNow(),
    expiresAt: at('expires_at'),
    revokedAt: at('revoked_at'),
    lastUsedAt: at('last_used_at'),
    /** Its MCP tools also answer to their alias names. */
    hasMcpAliases: boolean('has_mcp_aliases').notNull().default(false),
    /** Made by a sign-in: it may withdraw itself. */
    isSession: boolean('is_session').notNull().default(false),
  },
  (table) => [
    uniqueIndex('api_keys_hash_key').on(table.hash),
    check('api_keys_role_check', sql`${table.role} IN ('admin', 'orchestrator', 'observer', 'lane')`),
    check('api_keys_lane_check', sql`(${table.role} = 'lane') = (${table.lane} IS NOT NULL)`),
  ],
);

/** One-time codes, each good for one key; used or expired ones are deleted. Never more than a few. */
export const signInCodes = pgTable(
  'sign_in_codes',
  {
    /** SHA-256 of the code, in hex; the code itself is nowhere. */
    hash: text('hash').primaryKey(),
    role: text('role').notNull(),
    name: text('name').notNull(),
    /** null: every board. */
    boards: text('boards').array(),
    /** The key that made it, which must still be good when it is used; null: the server itself, when it started. */
    createdBy: uuid('created_by'),
    expiresAt: at('expires_at').notNull(),
  },
  (table) => [check('sign_in_codes_role_check', sql`${table.role} IN ('admin', 'orchestrator', 'observer')`)],
);

export const signingKeys = pgTable('signing_keys', {
  kid: text('kid').primaryKey(),
  publicJwk: jsonb('public_jwk').notNull(),
  /** JWK as JSON, or its encryption under LANEKEEPER_SECRET. */
  privateJwk: text('private_jwk').notNull(),
  createdAt: at('created_at').notNull().defaultNow(),
  /** Verifiers have had time to fetch it by then. */
  signsFrom: at('signs_from').notNull(),
  /** Tokens that it signed later are not good: the database went back to that moment. It signs no more. Null: nobody took anything back. */
  tokensUntil: at('tokens_until'),
});

/** Answers to requests with an Idempotency-Key; board 0 holds those that belong to no board. */
export const idempotencyKeys = pgTable(
  'idempotency_keys',
  {
    boardId: integer('board_id').notNull(),
    principal: text('principal').notNull(),
    route: text('route').notNull(),
    key: text('key').notNull(),
    fingerprint: text('fingerprint').notNull(),
    status: integer('status').notNull(),
    /** The answer without secrets and tokens. */
    answer: jsonb('answer').notNull(),
    createdAt: at('created_at').notNull().defaultNow(),
  },
  (table) => [
    primaryKey({
      name: 'idempotency_keys_pkey',
      columns: [table.boardId, table.principal, table.route, table.key],
    }),
  ],
);
