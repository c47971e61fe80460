-- What the migrations make, written by scripts/write-schema.ts. Do not edit.

CREATE TABLE amnesties (
  board_id integer NOT NULL,
  task_id uuid NOT NULL,
  attempt integer NOT NULL,
  began_at timestamp with time zone NOT NULL,
  ended_at timestamp with time zone NOT NULL,
  CONSTRAINT amnesties_pkey PRIMARY KEY (board_id, task_id, attempt, began_at)
);

CREATE TABLE api_keys (
  id uuid NOT NULL,
  hash text NOT NULL,
  role text NOT NULL,
  name text NOT NULL,
  boards text[],
  lane text,
  owner text,
  created_at timestamp with time zone DEFAULT now() NOT NULL,
  expires_at timestamp with time zone,
  revoked_at timestamp with time zone,
  last_used_at timestamp with time zone,
  has_mcp_aliases boolean DEFAULT false NOT NULL,
  is_session boolean DEFAULT false NOT NULL,
  CONSTRAINT api_keys_lane_check CHECK (((role = 'lane'::text) = (lane IS NOT NULL))),
  CONSTRAINT api_keys_role_check CHECK ((role = ANY (ARRAY['admin'::text, 'orchestrator'::text, 'observer'::text, 'lane'::text]))),
  CONSTRAINT api_keys_pkey PRIMARY KEY (id)
);
CREATE UNIQUE INDEX api_keys_hash_key ON public.api_keys USING btree (hash);

CREATE TABLE audit_entries (
  seq bigint NOT NULL,
  at timestamp with time zone NOT NULL,
  action text NOT NULL,
  actor_type text NOT NULL,
  actor_id text,
  actor_name text,
  about_board_id integer,
  board text,
  subject text,
  outcome text NOT NULL,
  code text,
  count integer DEFAULT 1 NOT NULL,
  address text,
  request_id text,
  data jsonb DEFAULT '{}'::jsonb NOT NULL,
  CONSTRAINT audit_entries_actor_type_check CHECK ((actor_type = ANY (ARRAY['key'::text, 'claim'::text, 'system'::text, 'anonymous'::text]))),
  CONSTRAINT audit_entries_outcome_check CHECK ((outcome = ANY (ARRAY['done'::text, 'refused'::text]))),
  CONSTRAINT audit_entries_pkey PRIMARY KEY (seq)
);
CREATE INDEX audit_entries_at_index ON public.audit_entries USING btree (at);
CREATE INDEX audit_entries_board_index ON public.audit_entries USING btree (about_board_id, seq);

CREATE TABLE audit_seq (
  id smallint DEFAULT 1 NOT NULL,
  seq bigint NOT NULL,
  CONSTRAINT audit_seq_single_check CHECK ((id = 1)),
  CONSTRAINT audit_seq_pkey PRIMARY KEY (id)
);

CREATE TABLE board_minutes (
  board_id integer NOT NULL,
  minute timestamp with time zone NOT NULL,
  created integer DEFAULT 0 NOT NULL,
  claims integer DEFAULT 0 NOT NULL,
  ends jsonb DEFAULT '{}'::jsonb NOT NULL,
  waits jsonb DEFAULT '{}'::jsonb NOT NULL,
  runs jsonb DEFAULT '{}'::jsonb NOT NULL,
  depth jsonb DEFAULT '{}'::jsonb NOT NULL,
  lanes jsonb DEFAULT '{}'::jsonb NOT NULL,
  CONSTRAINT board_minutes_pkey PRIMARY KEY (board_id, minute)
);

CREATE TABLE board_seq (
  board_id integer NOT NULL,
  seq bigint DEFAULT 0 NOT NULL,
  pruned_seq bigint DEFAULT 0 NOT NULL,
  config_version integer DEFAULT 1 NOT NULL,
  triage bigint DEFAULT 0 NOT NULL,
  todo bigint DEFAULT 0 NOT NULL,
  scheduled bigint DEFAULT 0 NOT NULL,
  ready bigint DEFAULT 0 NOT NULL,
  running bigint DEFAULT 0 NOT NULL,
  blocked bigint DEFAULT 0 NOT NULL,
  review bigint DEFAULT 0 NOT NULL,
  done bigint DEFAULT 0 NOT NULL,
  cancelled bigint DEFAULT 0 NOT NULL,
  archived bigint DEFAULT 0 NOT NULL,
  CONSTRAINT board_seq_pkey PRIMARY KEY (board_id)
) WITH (autovacuum_vacuum_cost_delay=0, autovacuum_vacuum_scale_factor=0, autovacuum_vacuum_threshold=500, fillfactor=10);

CREATE TABLE boards (
  id integer GENERATED ALWAYS AS IDENTITY NOT NULL,
  name text NOT NULL,
  title text,
  description text,
  settings jsonb DEFAULT '{}'::jsonb NOT NULL,
  log_incarnation text NOT NULL,
  version integer DEFAULT 1 NOT NULL,
  created_at timestamp with time zone DEFAULT now() NOT NULL,
  updated_at timestamp with time zone DEFAULT now() NOT NULL,
  CONSTRAINT boards_name_check CHECK ((name ~ '^[a-z0-9][a-z0-9._-]{0,63}$'::text)),
  CONSTRAINT boards_pkey PRIMARY KEY (id),
  CONSTRAINT boards_name_key UNIQUE (name)
);

CREATE TABLE claims (
  board_id integer NOT NULL,
  task_id uuid NOT NULL,
  run_id uuid NOT NULL,
  attempt integer NOT NULL,
  lane text NOT NULL,
  worker text NOT NULL,
  claimed_from text NOT NULL,
  claimed_at timestamp with time zone NOT NULL,
  lease_seconds integer NOT NULL,
  lease_expires_at timestamp with time zone NOT NULL,
  runtime_expires_at timestamp with time zone,
  no_progress_seconds integer,
  last_heartbeat_at timestamp with time zone,
  last_progress_at timestamp with time zone NOT NULL,
  progress double precision,
  heartbeat_logged_at timestamp with time zone,
  is_cancel_requested boolean DEFAULT false NOT NULL,
  cancel_deadline_at timestamp with time zone,
  cancel_reason text,
  is_crash_on_disconnect boolean DEFAULT false NOT NULL,
  is_superseded boolean DEFAULT false NOT NULL,
  has_messages boolean DEFAULT false NOT NULL,
  CONSTRAINT claims_cancel_check CHECK ((is_cancel_requested = (cancel_deadline_at IS NOT NULL))),
  CONSTRAINT claims_claimed_from_check CHECK ((claimed_from = ANY (ARRAY['ready'::text, 'review'::text]))),
  CONSTRAINT claims_pkey PRIMARY KEY (board_id, task_id)
) WITH (autovacuum_vacuum_cost_delay=0, autovacuum_vacuum_scale_factor=0.01, autovacuum_vacuum_threshold=1000, fillfactor=45);
CREATE INDEX claims_lane_index ON public.claims USING btree (board_id, lane) WHERE (lane <> ''::text);
CREATE INDEX claims_told_index ON public.claims USING btree (board_id, task_id) WHERE (is_cancel_requested OR has_messages);

CREATE TABLE comments (
  board_id integer NOT NULL,
  task_id uuid NOT NULL,
  id uuid NOT NULL,
  body text NOT NULL,
  author_type text NOT NULL,
  author_id text NOT NULL,
  at timestamp with time zone DEFAULT now() NOT NULL,
  CONSTRAINT comments_author_type_check CHECK ((author_type = ANY (ARRAY['key'::text, 'claim'::text, 'system'::text]))),
  CONSTRAINT comments_pkey PRIMARY KEY (board_id, task_id, id)
) WITH (autovacuum_vacuum_cost_delay=0, autovacuum_vacuum_scale_factor=0.05);

CREATE TABLE delegation_tasks (
  board_id integer NOT NULL,
  delegation_id uuid NOT NULL,
  place smallint NOT NULL,
  task_id uuid NOT NULL,
  goal text,
  context text,
  toolsets jsonb,
  model text,
  CONSTRAINT delegation_tasks_pkey PRIMARY KEY (board_id, delegation_id, place)
);
CREATE UNIQUE INDEX delegation_tasks_task_key ON public.delegation_tasks USING btree (board_id, task_id);

CREATE TABLE delegations (
  board_id integer NOT NULL,
  id uuid NOT NULL,
  status text NOT NULL,
  goal text,
  context text,
  origin jsonb,
  session_id text,
  join_mode text NOT NULL,
  on_blocked text NOT NULL,
  on_decided text NOT NULL,
  capacity_key text,
  depth smallint NOT NULL,
  child_count integer NOT NULL,
  deadline_at timestamp with time zone,
  results jsonb,
  reason text,
  has_leftovers boolean DEFAULT false NOT NULL,
  created_by_type text NOT NULL,
  created_by_id text NOT NULL,
  created_by_task uuid,
  created_at timestamp with time zone DEFAULT now() NOT NULL,
  completed_at timestamp with time zone,
  CONSTRAINT delegations_completed_check CHECK ((((status = 'running'::text) = (completed_at IS NULL)) AND ((status = 'running'::text) = (results IS NULL)))),
  CONSTRAINT delegations_created_by_type_check CHECK ((created_by_type = ANY (ARRAY['key'::text, 'claim'::text, 'system'::text]))),
  CONSTRAINT delegations_join_mode_check CHECK ((join_mode = ANY (ARRAY['all'::text, 'any'::text]))),
  CONSTRAINT delegations_on_blocked_check CHECK ((on_blocked = ANY (ARRAY['end'::text, 'wait'::text]))),
  CONSTRAINT delegations_on_decided_check CHECK ((on_decided = ANY (ARRAY['cancel'::text, 'leave'::text]))),
  CONSTRAINT delegations_status_check CHECK ((status = ANY (ARRAY['running'::text, 'completed'::text, 'partial'::text, 'failed'::text, 'cancelled'::text]))),
  CONSTRAINT delegations_pkey PRIMARY KEY (board_id, id)
);
CREATE INDEX delegations_capacity_index ON public.delegations USING btree (board_id, capacity_key) WHERE ((status = 'running'::text) AND (capacity_key IS NOT NULL));
CREATE INDEX delegations_created_by_task_index ON public.delegations USING btree (board_id, created_by_task, id) WHERE (created_by_task IS NOT NULL);
CREATE INDEX delegations_deadline_index ON public.delegations USING btree (deadline_at, board_id) WHERE ((status = 'running'::text) AND (deadline_at IS NOT NULL));
CREATE INDEX delegations_leftovers_index ON public.delegations USING btree (board_id, id) WHERE has_leftovers;
CREATE INDEX delegations_running_index ON public.delegations USING btree (board_id, id) WHERE (status = 'running'::text);
CREATE INDEX delegations_session_index ON public.delegations USING btree (board_id, session_id, id) WHERE (session_id IS NOT NULL);
CREATE INDEX delegations_status_index ON public.delegations USING btree (board_id, status, id);

CREATE TABLE deliveries (
  board_id integer NOT NULL,
  id uuid NOT NULL,
  subscription_id uuid NOT NULL,
  seq bigint NOT NULL,
  kind text NOT NULL,
  task_id uuid,
  delegation_id uuid,
  mode text NOT NULL,
  wake boolean NOT NULL,
  status text NOT NULL,
  owner text,
  platform text NOT NULL,
  session_key text NOT NULL,
  session_id text,
  is_webhook boolean NOT NULL,
  webhook_host text,
  due_at timestamp with time zone NOT NULL,
  lease_id uuid,
  lease_expires_at timestamp with time zone,
  attempt integer DEFAULT 0 NOT NULL,
  failures integer DEFAULT 0 NOT NULL,
  last_error text,
  message_id text,
  text text,
  is_fallback boolean DEFAULT false NOT NULL,
  synthesis_task_id uuid,
  synthesis_due_at timestamp with time zone,
  created_at timestamp with time zone DEFAULT now() NOT NULL,
  finished_at timestamp with time zone,
  CONSTRAINT deliveries_finished_check CHECK (((status = ANY (ARRAY['acked'::text, 'dead'::text])) = (finished_at IS NOT NULL))),
  CONSTRAINT deliveries_lease_check CHECK (((status = 'leased'::text) <= ((lease_id IS NOT NULL) AND (lease_expires_at IS NOT NULL)))),
  CONSTRAINT deliveries_mode_check CHECK ((mode = ANY (ARRAY['direct'::text, 'synthesize'::text, 'silent'::text]))),
  CONSTRAINT deliveries_status_check CHECK ((status = ANY (ARRAY['pending'::text, 'synthesizing'::text, 'leased'::text, 'acked'::text, 'dead'::text]))),
  CONSTRAINT deliveries_synthesis_check CHECK (((status <> 'synthesizing'::text) OR (synthesis_due_at IS NOT NULL))),
  CONSTRAINT deliveries_webhook_check CHECK ((is_webhook = (webhook_host IS NOT NULL))),
  CONSTRAINT deliveries_pkey PRIMARY KEY (board_id, id)
) WITH (autovacuum_vacuum_cost_delay=0, autovacuum_vacuum_scale_factor=0.05);
CREATE INDEX deliveries_delegation_index ON public.deliveries USING btree (board_id, delegation_id) WHERE (delegation_id IS NOT NULL);
CREATE UNIQUE INDEX deliveries_event_key ON public.deliveries USING btree (board_id, subscription_id, seq);
CREATE INDEX deliveries_finished_index ON public.deliveries USING btree (board_id, finished_at) WHERE (finished_at IS NOT NULL);
CREATE INDEX deliveries_leased_index ON public.deliveries USING btree (board_id, session_key) WHERE (status = 'leased'::text);
CREATE INDEX deliveries_open_index ON public.deliveries USING btree (board_id, seq) WHERE (finished_at IS NULL);
CREATE INDEX deliveries_order_index ON public.deliveries USING btree (board_id, subscription_id, seq) WHERE (finished_at IS NULL);
CREATE INDEX deliveries_pending_index ON public.deliveries USING btree (board_id, COALESCE(owner, ''::text), platform, due_at, id) WHERE ((status = 'pending'::text) AND (NOT is_webhook));
CREATE INDEX deliveries_session_index ON public.deliveries USING btree (board_id, COALESCE(owner, ''::text), platform, session_key, due_at, id) WHERE ((status = 'pending'::text) AND (NOT is_webhook));
CREATE INDEX deliveries_status_index ON public.deliveries USING btree (board_id, status, id);
CREATE INDEX deliveries_synthesis_index ON public.deliveries USING btree (board_id, session_key, seq) WHERE (synthesis_due_at IS NOT NULL);
CREATE INDEX deliveries_task_index ON public.deliveries USING btree (board_id, task_id) WHERE (task_id IS NOT NULL);
CREATE INDEX deliveries_webhook_index ON public.deliveries USING btree (board_id, webhook_host, due_at, id) WHERE ((status = 'pending'::text) AND is_webhook);
CREATE INDEX deliveries_webhook_session_index ON public.deliveries USING btree (board_id, webhook_host, session_key, due_at, id) WHERE ((status = 'pending'::text) AND is_webhook);

CREATE TABLE events (
  board_id integer NOT NULL,
  seq bigint NOT NULL,
  kind text NOT NULL,
  at timestamp with time zone NOT NULL,
  task_id uuid,
  run_id uuid,
  lane text,
  worker text,
  attempt integer,
  task_version integer,
  actor_type text NOT NULL,
  actor_id text NOT NULL,
  data jsonb NOT NULL,
  delegation_id uuid,
  CONSTRAINT events_actor_type_check CHECK ((actor_type = ANY (ARRAY['key'::text, 'claim'::text, 'system'::text]))),
  CONSTRAINT events_pkey PRIMARY KEY (board_id, seq)
) WITH (autovacuum_vacuum_cost_delay=0, autovacuum_vacuum_insert_scale_factor=0.05, autovacuum_vacuum_scale_factor=0.02, autovacuum_vacuum_threshold=2000);
CREATE INDEX events_delegation_index ON public.events USING btree (board_id, delegation_id, seq) WHERE (delegation_id IS NOT NULL);
CREATE INDEX events_task_index ON public.events USING btree (board_id, task_id, seq) WHERE (task_id IS NOT NULL);

CREATE TABLE idempotency_keys (
  board_id integer NOT NULL,
  principal text NOT NULL,
  route text NOT NULL,
  key text NOT NULL,
  fingerprint text NOT NULL,
  status integer NOT NULL,
  answer jsonb NOT NULL,
  created_at timestamp with time zone DEFAULT now() NOT NULL,
  CONSTRAINT idempotency_keys_pkey PRIMARY KEY (board_id, principal, route, key)
);

CREATE TABLE lanes (
  board_id integer NOT NULL,
  name text NOT NULL,
  kind text NOT NULL,
  claim_mode text NOT NULL,
  allowed_status_mutations text NOT NULL,
  max_concurrent_claims integer,
  lease_seconds integer NOT NULL,
  no_progress_seconds integer,
  max_runtime_seconds integer,
  is_paused boolean DEFAULT false NOT NULL,
  is_draining boolean DEFAULT false NOT NULL,
  epoch integer DEFAULT 1 NOT NULL,
  labels jsonb DEFAULT '{}'::jsonb NOT NULL,
  description text,
  spawn jsonb,
  version integer DEFAULT 1 NOT NULL,
  created_at timestamp with time zone DEFAULT now() NOT NULL,
  updated_at timestamp with time zone DEFAULT now() NOT NULL,
  is_online boolean DEFAULT false NOT NULL,
  is_reviewer boolean DEFAULT false NOT NULL,
  CONSTRAINT lanes_allowed_status_mutations_check CHECK ((allowed_status_mutations = ANY (ARRAY['own-claimed-only'::text, 'none'::text]))),
  CONSTRAINT lanes_claim_mode_check CHECK ((claim_mode = ANY (ARRAY['pull-or-watch'::text, 'pull'::text, 'watch'::text, 'push'::text]))),
  CONSTRAINT lanes_kind_check CHECK ((kind = ANY (ARRAY['persistent'::text, 'spawn'::text, 'human'::text]))),
  CONSTRAINT lanes_lease_seconds_check CHECK (((lease_seconds >= 1) AND (lease_seconds <= 86400))),
  CONSTRAINT lanes_max_concurrent_claims_check CHECK ((max_concurrent_claims >= 1)),
  CONSTRAINT lanes_name_check CHECK ((name ~ '^[a-z0-9][a-z0-9._-]{0,63}$'::text)),
  CONSTRAINT lanes_pkey PRIMARY KEY (board_id, name)
);
CREATE INDEX lanes_draining_index ON public.lanes USING btree (board_id, name) WHERE is_draining;
CREATE INDEX lanes_online_index ON public.lanes USING btree (board_id, name) WHERE is_online;

CREATE TABLE links (
  board_id integer NOT NULL,
  child_id uuid NOT NULL,
  parent_id uuid NOT NULL,
  is_met boolean NOT NULL,
  created_at timestamp with time zone DEFAULT now() NOT NULL,
  CONSTRAINT links_self_check CHECK ((child_id <> parent_id)),
  CONSTRAINT links_pkey PRIMARY KEY (board_id, child_id, parent_id)
) WITH (autovacuum_vacuum_cost_delay=0, autovacuum_vacuum_scale_factor=0.05);
CREATE INDEX links_parent_index ON public.links USING btree (board_id, parent_id, child_id);

CREATE TABLE messages (
  board_id integer NOT NULL,
  task_id uuid NOT NULL,
  id uuid NOT NULL,
  text text NOT NULL,
  author_type text NOT NULL,
  author_id text NOT NULL,
  at timestamp with time zone DEFAULT now() NOT NULL,
  run_id uuid,
  delivered_at timestamp with time zone,
  acknowledged_at timestamp with time zone,
  missed_at timestamp with time zone,
  CONSTRAINT messages_author_type_check CHECK ((author_type = ANY (ARRAY['key'::text, 'claim'::text, 'system'::text]))),
  CONSTRAINT messages_state_check CHECK (((acknowledged_at IS NULL) OR (missed_at IS NULL))),
  CONSTRAINT messages_pkey PRIMARY KEY (board_id, task_id, id)
) WITH (autovacuum_vacuum_cost_delay=0, autovacuum_vacuum_scale_factor=0.05);

CREATE TABLE operation_items (
  board_id integer NOT NULL,
  operation_id uuid NOT NULL,
  place integer NOT NULL,
  task_id uuid NOT NULL,
  is_done boolean DEFAULT false NOT NULL,
  code text,
  CONSTRAINT operation_items_pkey PRIMARY KEY (board_id, operation_id, place)
);

CREATE TABLE operations (
  board_id integer NOT NULL,
  id uuid NOT NULL,
  action text NOT NULL,
  parameters jsonb DEFAULT '{}'::jsonb NOT NULL,
  is_dry_run boolean DEFAULT false NOT NULL,
  status text NOT NULL,
  total integer NOT NULL,
  succeeded integer DEFAULT 0 NOT NULL,
  failed integer DEFAULT 0 NOT NULL,
  actor_type text NOT NULL,
  actor_id text NOT NULL,
  created_at timestamp with time zone DEFAULT now() NOT NULL,
  finished_at timestamp with time zone,
  stop_reason text,
  stopped_by_type text,
  stopped_by_id text,
  CONSTRAINT operations_actor_type_check CHECK ((actor_type = ANY (ARRAY['key'::text, 'claim'::text, 'system'::text]))),
  CONSTRAINT operations_finished_check CHECK (((status = 'running'::text) = (finished_at IS NULL))),
  CONSTRAINT operations_status_check CHECK ((status = ANY (ARRAY['running'::text, 'done'::text, 'stopped'::text]))),
  CONSTRAINT operations_stopped_by_check CHECK ((stopped_by_type = ANY (ARRAY['key'::text, 'claim'::text, 'system'::text]))),
  CONSTRAINT operations_stopped_check CHECK (((status = 'stopped'::text) = (stop_reason IS NOT NULL))),
  CONSTRAINT operations_pkey PRIMARY KEY (board_id, id)
);
CREATE INDEX operations_finished_index ON public.operations USING btree (finished_at) WHERE (finished_at IS NOT NULL);
CREATE INDEX operations_running_index ON public.operations USING btree (board_id, id) WHERE (status = 'running'::text);

CREATE TABLE output_lines (
  board_id integer NOT NULL,
  task_id uuid NOT NULL,
  slot smallint NOT NULL,
  number bigint NOT NULL,
  run_id uuid NOT NULL,
  at timestamp with time zone NOT NULL,
  text text NOT NULL,
  CONSTRAINT output_lines_pkey PRIMARY KEY (board_id, task_id, slot)
) WITH (autovacuum_vacuum_cost_delay=0, autovacuum_vacuum_scale_factor=0.05);

CREATE TABLE outputs (
  board_id integer NOT NULL,
  task_id uuid NOT NULL,
  line_count bigint NOT NULL,
  updated_at timestamp with time zone NOT NULL,
  CONSTRAINT outputs_pkey PRIMARY KEY (board_id, task_id)
) WITH (autovacuum_vacuum_cost_delay=0, autovacuum_vacuum_scale_factor=0.05);
CREATE INDEX outputs_updated_index ON public.outputs USING btree (board_id, updated_at);

CREATE TABLE past_incarnations (
  board_id integer NOT NULL,
  incarnation text NOT NULL,
  last_seq bigint NOT NULL,
  replaced_at timestamp with time zone DEFAULT now() NOT NULL,
  CONSTRAINT past_incarnations_pkey PRIMARY KEY (board_id, incarnation)
);

CREATE TABLE pulse (
  id smallint DEFAULT 1 NOT NULL,
  beat_at timestamp with time zone NOT NULL,
  CONSTRAINT pulse_single_check CHECK ((id = 1)),
  CONSTRAINT pulse_pkey PRIMARY KEY (id)
);

CREATE TABLE retention (
  board_id integer NOT NULL,
  kind text NOT NULL,
  kept_seconds integer NOT NULL,
  due_at timestamp with time zone NOT NULL,
  behind_since timestamp with time zone,
  place uuid,
  place_attempt integer DEFAULT 0 NOT NULL,
  left_rows bigint DEFAULT 0 NOT NULL,
  CONSTRAINT retention_kept_seconds_check CHECK ((kept_seconds >= 1)),
  CONSTRAINT retention_kind_check CHECK ((kind = ANY (ARRAY['events'::text, 'finished_tasks'::text, 'runs'::text, 'output'::text, 'deliveries'::text, 'messages'::text]))),
  CONSTRAINT retention_pkey PRIMARY KEY (board_id, kind)
) WITH (autovacuum_vacuum_cost_delay=0, autovacuum_vacuum_scale_factor=0, autovacuum_vacuum_threshold=1000, fillfactor=50);
CREATE INDEX retention_due_index ON public.retention USING btree (due_at);

CREATE TABLE runs (
  board_id integer NOT NULL,
  task_id uuid NOT NULL,
  attempt integer NOT NULL,
  id uuid NOT NULL,
  lane text,
  worker text,
  outcome text,
  started_at timestamp with time zone NOT NULL,
  ended_at timestamp with time zone,
  ended_by_type text,
  ended_by_id text,
  end_fingerprint text,
  summary text,
  result jsonb,
  metadata jsonb,
  error text,
  checkpoint jsonb,
  evidence jsonb,
  CONSTRAINT runs_ended_by_type_check CHECK ((ended_by_type = ANY (ARRAY['key'::text, 'claim'::text, 'system'::text]))),
  CONSTRAINT runs_ended_check CHECK (((outcome IS NULL) = (ended_at IS NULL))),
  CONSTRAINT runs_outcome_check CHECK ((outcome = ANY (ARRAY['completed'::text, 'changes_requested'::text, 'blocked'::text, 'released'::text, 'failed'::text, 'crashed'::text, 'timed_out'::text, 'reclaimed'::text, 'cancelled'::text]))),
  CONSTRAINT runs_pkey PRIMARY KEY (board_id, task_id, attempt)
) WITH (autovacuum_vacuum_cost_delay=0, autovacuum_vacuum_scale_factor=0.01, autovacuum_vacuum_threshold=1000, fillfactor=40);
CREATE UNIQUE INDEX runs_id_key ON public.runs USING btree (board_id, id) WHERE (id IS NOT NULL);

CREATE TABLE session_messages (
  board_id integer NOT NULL,
  session_id text NOT NULL,
  at timestamp with time zone NOT NULL,
  delivery_id uuid NOT NULL,
  task_id uuid,
  delegation_id uuid,
  platform text NOT NULL,
  chat_id text NOT NULL,
  thread_id text NOT NULL,
  message_id text,
  text text NOT NULL,
  CONSTRAINT session_messages_pkey PRIMARY KEY (board_id, session_id, at, delivery_id)
) WITH (autovacuum_vacuum_cost_delay=0, autovacuum_vacuum_scale_factor=0.05);
CREATE INDEX session_messages_at_index ON public.session_messages USING btree (board_id, at);
CREATE INDEX session_messages_delegation_index ON public.session_messages USING btree (board_id, delegation_id) WHERE (delegation_id IS NOT NULL);
CREATE INDEX session_messages_task_index ON public.session_messages USING btree (board_id, task_id) WHERE (task_id IS NOT NULL);

CREATE TABLE sign_in_codes (
  hash text NOT NULL,
  role text NOT NULL,
  name text NOT NULL,
  boards text[],
  created_by uuid,
  expires_at timestamp with time zone NOT NULL,
  CONSTRAINT sign_in_codes_role_check CHECK ((role = ANY (ARRAY['admin'::text, 'orchestrator'::text, 'observer'::text]))),
  CONSTRAINT sign_in_codes_pkey PRIMARY KEY (hash)
);

CREATE TABLE signing_keys (
  kid text NOT NULL,
  public_jwk jsonb NOT NULL,
  private_jwk text NOT NULL,
  created_at timestamp with time zone DEFAULT now() NOT NULL,
  signs_from timestamp with time zone NOT NULL,
  tokens_until timestamp with time zone,
  CONSTRAINT signing_keys_pkey PRIMARY KEY (kid)
);

CREATE TABLE stats_progress (
  board_id integer NOT NULL,
  seq bigint DEFAULT 0 NOT NULL,
  CONSTRAINT stats_progress_pkey PRIMARY KEY (board_id)
);

CREATE TABLE stranded_marks (
  board_id integer NOT NULL,
  seq bigint NOT NULL,
  CONSTRAINT stranded_marks_pkey PRIMARY KEY (board_id)
);

CREATE TABLE stranded_tasks (
  board_id integer NOT NULL,
  task_id uuid NOT NULL,
  ready_since timestamp with time zone NOT NULL,
  at timestamp with time zone DEFAULT now() NOT NULL,
  CONSTRAINT stranded_tasks_pkey PRIMARY KEY (board_id, task_id)
);

CREATE TABLE subscriptions (
  board_id integer NOT NULL,
  id uuid NOT NULL,
  subject_id uuid NOT NULL,
  is_delegation boolean NOT NULL,
  platform text NOT NULL,
  chat_id text DEFAULT ''::text NOT NULL,
  thread_id text DEFAULT ''::text NOT NULL,
  user_id text,
  mode text NOT NULL,
  wake boolean NOT NULL,
  kinds text[],
  origin jsonb DEFAULT '{}'::jsonb NOT NULL,
  owner text,
  webhook_url text,
  webhook_secret text,
  webhook_old_secret text,
  webhook_old_until timestamp with time zone,
  cursor_seq bigint NOT NULL,
  created_by_type text NOT NULL,
  created_by_id text NOT NULL,
  created_at timestamp with time zone DEFAULT now() NOT NULL,
  updated_at timestamp with time zone DEFAULT now() NOT NULL,
  CONSTRAINT subscriptions_created_by_type_check CHECK ((created_by_type = ANY (ARRAY['key'::text, 'claim'::text, 'system'::text]))),
  CONSTRAINT subscriptions_mode_check CHECK ((mode = ANY (ARRAY['direct'::text, 'synthesize'::text, 'silent'::text]))),
  CONSTRAINT subscriptions_pkey PRIMARY KEY (board_id, id)
);
CREATE UNIQUE INDEX subscriptions_target_key ON public.subscriptions USING btree (board_id, subject_id, platform, chat_id, thread_id);

CREATE TABLE task_details (
  board_id integer NOT NULL,
  task_id uuid NOT NULL,
  title text NOT NULL,
  body text,
  payload jsonb,
  labels jsonb DEFAULT '{}'::jsonb NOT NULL,
  backoff jsonb,
  tenant text,
  external_ref text,
  idempotency_key text,
  is_idempotency_key_held boolean DEFAULT true NOT NULL,
  traceparent text,
  comment_count integer DEFAULT 0 NOT NULL,
  created_by_type text NOT NULL,
  created_by_id text NOT NULL,
  created_by_run uuid,
  message_count integer DEFAULT 0 NOT NULL,
  parent_count integer DEFAULT 0 NOT NULL,
  origin jsonb,
  origin_session text,
  delegation_id uuid,
  delegation_depth smallint DEFAULT 0 NOT NULL,
  CONSTRAINT task_details_created_by_type_check CHECK ((created_by_type = ANY (ARRAY['key'::text, 'claim'::text, 'system'::text]))),
  CONSTRAINT task_details_pkey PRIMARY KEY (board_id, task_id)
) WITH (autovacuum_vacuum_cost_delay=0, autovacuum_vacuum_scale_factor=0.02, autovacuum_vacuum_threshold=1000);
CREATE INDEX task_details_created_by_run_index ON public.task_details USING btree (board_id, created_by_run) WHERE (created_by_run IS NOT NULL);
CREATE INDEX task_details_delegation_index ON public.task_details USING btree (board_id, delegation_id, task_id) WHERE (delegation_id IS NOT NULL);
CREATE UNIQUE INDEX task_details_external_ref_key ON public.task_details USING btree (board_id, external_ref) WHERE (external_ref IS NOT NULL);
CREATE UNIQUE INDEX task_details_idempotency_key ON public.task_details USING btree (board_id, idempotency_key) WHERE ((idempotency_key IS NOT NULL) AND is_idempotency_key_held);
CREATE INDEX task_details_origin_session_index ON public.task_details USING btree (board_id, origin_session, task_id) WHERE (origin_session IS NOT NULL);

CREATE TABLE tasks (
  board_id integer NOT NULL,
  id uuid NOT NULL,
  lane text,
  status text NOT NULL,
  priority integer NOT NULL,
  version integer NOT NULL,
  attempt integer NOT NULL,
  unmet_parents integer NOT NULL,
  consecutive_failures smallint NOT NULL,
  protocol_violations smallint NOT NULL,
  max_failures smallint NOT NULL,
  max_runtime_seconds integer,
  no_progress_seconds integer,
  run_at timestamp with time zone,
  blocked_kind text,
  blocked_reason text,
  status_since timestamp with time zone NOT NULL,
  created_at timestamp with time zone NOT NULL,
  updated_at timestamp with time zone NOT NULL,
  has_children boolean DEFAULT false NOT NULL,
  result_attempt integer,
  reviewer text,
  implementer_lane text,
  implementer_worker text,
  block_streak smallint DEFAULT 0 NOT NULL,
  streak_kind text,
  archived_from text,
  is_followed boolean DEFAULT false NOT NULL,
  is_system boolean DEFAULT false NOT NULL,
  CONSTRAINT tasks_blocked_check CHECK (((status = 'blocked'::text) OR ((blocked_kind IS NULL) AND (blocked_reason IS NULL)))),
  CONSTRAINT tasks_blocked_kind_check CHECK ((blocked_kind = ANY (ARRAY['needs_input'::text, 'dependency'::text, 'capability'::text, 'transient'::text, 'gave_up'::text, 'operator'::text]))),
  CONSTRAINT tasks_max_failures_check CHECK ((max_failures >= 1)),
  CONSTRAINT tasks_ready_check CHECK (((status <> 'ready'::text) OR (unmet_parents = 0))),
  CONSTRAINT tasks_review_check CHECK (((status <> 'review'::text) OR (result_attempt IS NOT NULL))),
  CONSTRAINT tasks_running_check CHECK (((status <> 'running'::text) OR ((lane IS NOT NULL) AND (attempt >= 1)))),
  CONSTRAINT tasks_scheduled_check CHECK (((status <> 'scheduled'::text) OR (run_at IS NOT NULL))),
  CONSTRAINT tasks_status_check CHECK ((status = ANY (ARRAY['triage'::text, 'todo'::text, 'scheduled'::text, 'ready'::text, 'running'::text, 'blocked'::text, 'review'::text, 'done'::text, 'cancelled'::text, 'archived'::text]))),
  CONSTRAINT tasks_todo_check CHECK (((status <> 'todo'::text) OR (unmet_parents > 0))),
  CONSTRAINT tasks_unmet_parents_check CHECK ((unmet_parents >= 0)),
  CONSTRAINT tasks_pkey PRIMARY KEY (board_id, id)
) WITH (autovacuum_analyze_scale_factor=0.05, autovacuum_vacuum_cost_delay=0, autovacuum_vacuum_scale_factor=0.01, autovacuum_vacuum_threshold=1000, fillfactor=70);
CREATE INDEX tasks_ready_index ON public.tasks USING btree (board_id, lane, priority DESC, id) WHERE (status = 'ready'::text);
CREATE INDEX tasks_review_index ON public.tasks USING btree (board_id, reviewer, priority DESC, id) WHERE ((status = 'review'::text) AND (reviewer IS NOT NULL));
CREATE INDEX tasks_scheduled_index ON public.tasks USING btree (run_at, board_id) WHERE (status = 'scheduled'::text);
CREATE INDEX tasks_status_index ON public.tasks USING btree (board_id, status, id) WHERE (status = ANY (ARRAY['triage'::text, 'todo'::text, 'scheduled'::text, 'blocked'::text, 'review'::text, 'cancelled'::text, 'archived'::text]));

CREATE TABLE workers (
  board_id integer NOT NULL,
  lane text NOT NULL,
  worker text NOT NULL,
  version text,
  last_seen_at timestamp with time zone NOT NULL,
  socket_id uuid,
  socket_opened_at timestamp with time zone,
  socket_closed_at timestamp with time zone,
  CONSTRAINT workers_pkey PRIMARY KEY (board_id, lane, worker)
) WITH (autovacuum_vacuum_cost_delay=0, autovacuum_vacuum_scale_factor=0.01, autovacuum_vacuum_threshold=1000, fillfactor=70);
CREATE INDEX workers_opened_index ON public.workers USING btree (board_id, socket_opened_at);
