-- One text for both engines. Types are those that both understand (TEXT, BIGINT); BYTEA is read as BLOB
-- on SQLite by the migrator. Times are unix milliseconds of the database's clock. JSON is TEXT.

CREATE TABLE meta (
    name TEXT PRIMARY KEY NOT NULL,
    value TEXT NOT NULL
);

CREATE TABLE key_check (
    key_id BIGINT PRIMARY KEY NOT NULL,
    sealed BYTEA NOT NULL
);

CREATE TABLE workspace (
    id TEXT PRIMARY KEY NOT NULL,
    name TEXT NOT NULL,
    is_default BIGINT NOT NULL DEFAULT 0,
    settings TEXT NOT NULL DEFAULT '{}',
    audit_seq BIGINT NOT NULL DEFAULT 0,
    audit_hash TEXT NOT NULL DEFAULT '',
    created_at BIGINT NOT NULL
);
CREATE UNIQUE INDEX workspace_default ON workspace (is_default) WHERE is_default = 1;

CREATE TABLE secret (
    workspace TEXT NOT NULL REFERENCES workspace (id),
    owner_table TEXT NOT NULL,
    owner_id TEXT NOT NULL,
    name TEXT NOT NULL,
    key_id BIGINT NOT NULL,
    sealed BYTEA NOT NULL,
    expires_at BIGINT,
    updated_at BIGINT NOT NULL,
    PRIMARY KEY (workspace, owner_table, owner_id, name)
);
CREATE INDEX secret_key ON secret (key_id);

CREATE TABLE api_token (
    id TEXT PRIMARY KEY NOT NULL,
    workspace TEXT NOT NULL REFERENCES workspace (id),
    name TEXT NOT NULL,
    prefix TEXT NOT NULL,
    token_hash TEXT NOT NULL UNIQUE,
    scopes TEXT NOT NULL,
    role TEXT,
    expires_at BIGINT,
    created_at BIGINT NOT NULL,
    last_used_at BIGINT,
    revoked_at BIGINT
);

CREATE TABLE oauth_state (
    state_hash TEXT PRIMARY KEY NOT NULL,
    workspace TEXT NOT NULL REFERENCES workspace (id),
    forge TEXT NOT NULL,
    browser_binding TEXT,
    key_id BIGINT NOT NULL,
    sealed BYTEA NOT NULL,
    expires_at BIGINT NOT NULL
);

CREATE TABLE integration (
    id TEXT PRIMARY KEY NOT NULL,
    workspace TEXT NOT NULL REFERENCES workspace (id),
    forge TEXT NOT NULL,
    base_url TEXT NOT NULL,
    api_base_url TEXT,
    oauth_base_url TEXT,
    auth TEXT NOT NULL,
    account TEXT NOT NULL,
    mode TEXT NOT NULL,
    perimeter TEXT NOT NULL,
    feedback TEXT NOT NULL,
    backfill TEXT NOT NULL,
    data TEXT NOT NULL,
    enabled BIGINT NOT NULL,
    health TEXT NOT NULL,
    parked_reason TEXT,
    credential_generation BIGINT NOT NULL DEFAULT 0,
    refresh_lease TEXT,
    refresh_until BIGINT,
    created_at BIGINT NOT NULL,
    removed_at BIGINT
);

CREATE TABLE repository (
    id TEXT PRIMARY KEY NOT NULL,
    workspace TEXT NOT NULL REFERENCES workspace (id),
    integration TEXT NOT NULL REFERENCES integration (id),
    forge_id TEXT NOT NULL,
    full_name TEXT NOT NULL,
    default_branch TEXT,
    web_url TEXT,
    archived BIGINT NOT NULL,
    has_ci BIGINT NOT NULL,
    monitored BIGINT NOT NULL DEFAULT 0,
    data TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    seen_at BIGINT NOT NULL,
    UNIQUE (integration, forge_id)
);
CREATE INDEX repository_name ON repository (integration, full_name);
CREATE INDEX repository_workspace ON repository (workspace, id);

CREATE TABLE hook (
    id TEXT PRIMARY KEY NOT NULL,
    workspace TEXT NOT NULL REFERENCES workspace (id),
    integration TEXT NOT NULL REFERENCES integration (id),
    repository TEXT,
    forge TEXT NOT NULL,
    forge_hook_id TEXT,
    state TEXT NOT NULL,
    token_hash TEXT,
    previous_token_hash TEXT,
    previous_expires_at BIGINT,
    last_delivery_at BIGINT,
    last_error TEXT,
    unsigned_seen BIGINT NOT NULL DEFAULT 0,
    data TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    removed_at BIGINT
);
CREATE INDEX hook_integration ON hook (integration, repository);
CREATE INDEX hook_token ON hook (token_hash);
CREATE INDEX hook_previous_token ON hook (previous_token_hash);

CREATE TABLE task (
    id TEXT PRIMARY KEY NOT NULL,
    workspace TEXT NOT NULL REFERENCES workspace (id),
    integration TEXT,
    lane TEXT NOT NULL,
    kind TEXT NOT NULL,
    dedup_key TEXT NOT NULL,
    payload TEXT NOT NULL,
    state TEXT NOT NULL,
    priority BIGINT NOT NULL,
    turn BIGINT NOT NULL,
    run_at BIGINT NOT NULL,
    attempts BIGINT NOT NULL DEFAULT 0,
    max_attempts BIGINT NOT NULL,
    again TEXT,
    lease_token TEXT,
    lease_until BIGINT,
    last_error TEXT,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL
);
-- The dedup key is unique among live tasks; it is also what an enqueue conflicts on.
CREATE UNIQUE INDEX task_dedup ON task (workspace, dedup_key) WHERE state IN ('ready', 'running');
CREATE INDEX task_live ON task (priority DESC, turn, id) WHERE state IN ('ready', 'running');
CREATE INDEX task_lane ON task (lane, turn) WHERE state IN ('ready', 'running');
-- Partial on purpose: an index over all states would draw SQLite's planner away from the order of claiming.
CREATE INDEX task_due ON task (run_at) WHERE state = 'ready';
CREATE INDEX task_lease ON task (lease_until) WHERE state = 'running';
CREATE INDEX task_done ON task (updated_at) WHERE state = 'done';
CREATE INDEX task_dead ON task (workspace, id) WHERE state = 'dead';

CREATE TABLE delivery (
    id TEXT PRIMARY KEY NOT NULL,
    workspace TEXT NOT NULL REFERENCES workspace (id),
    integration TEXT NOT NULL,
    hook TEXT NOT NULL,
    forge TEXT NOT NULL,
    delivery_key TEXT NOT NULL,
    event TEXT NOT NULL,
    action TEXT,
    repository TEXT,
    key_id BIGINT NOT NULL,
    sealed BYTEA NOT NULL,
    status TEXT NOT NULL,
    reason TEXT,
    analyses TEXT NOT NULL DEFAULT '[]',
    task TEXT,
    task_spec TEXT,
    duplicates BIGINT NOT NULL DEFAULT 0,
    received_at BIGINT NOT NULL,
    finished_at BIGINT,
    UNIQUE (workspace, hook, delivery_key)
);
CREATE INDEX delivery_workspace ON delivery (workspace, id);
CREATE INDEX delivery_task ON delivery (task);
CREATE INDEX delivery_received ON delivery (received_at);

CREATE TABLE cluster (
    id TEXT PRIMARY KEY NOT NULL,
    workspace TEXT NOT NULL REFERENCES workspace (id),
    fingerprint TEXT NOT NULL,
    state TEXT NOT NULL,
    category TEXT,
    root_cause TEXT,
    count BIGINT NOT NULL,
    first_seen_at BIGINT NOT NULL,
    last_seen_at BIGINT NOT NULL,
    last_fix TEXT,
    last_analysis TEXT,
    UNIQUE (workspace, fingerprint)
);

CREATE TABLE cluster_repository (
    cluster TEXT NOT NULL REFERENCES cluster (id),
    repository TEXT NOT NULL,
    count BIGINT NOT NULL,
    last_seen_at BIGINT NOT NULL,
    PRIMARY KEY (cluster, repository)
);

CREATE TABLE analysis (
    id TEXT PRIMARY KEY NOT NULL,
    workspace TEXT NOT NULL REFERENCES workspace (id),
    integration_key TEXT NOT NULL,
    forge TEXT NOT NULL,
    repository_key TEXT NOT NULL,
    repository TEXT NOT NULL,
    run_id TEXT NOT NULL,
    root_run_id TEXT,
    attempt BIGINT NOT NULL,
    job_id TEXT NOT NULL,
    job_name TEXT,
    branch TEXT,
    commit_sha TEXT,
    pr TEXT,
    pipeline_url TEXT,
    job_url TEXT,
    source TEXT NOT NULL,
    state TEXT NOT NULL,
    category TEXT,
    severity TEXT,
    fingerprint TEXT,
    cluster_id TEXT,
    idempotency_key TEXT,
    introduced_by TEXT,
    reused_from TEXT,
    error TEXT,
    report TEXT,
    data TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    finished_at BIGINT,
    UNIQUE (workspace, integration_key, repository_key, run_id, attempt, job_id)
);
CREATE UNIQUE INDEX analysis_idempotency ON analysis (workspace, idempotency_key) WHERE idempotency_key IS NOT NULL;
CREATE INDEX analysis_workspace ON analysis (workspace, id);
CREATE INDEX analysis_repository ON analysis (workspace, repository, id);
CREATE INDEX analysis_cluster ON analysis (cluster_id, id);

CREATE TABLE feedback (
    workspace TEXT NOT NULL REFERENCES workspace (id),
    analysis TEXT NOT NULL REFERENCES analysis (id),
    target TEXT NOT NULL,
    state TEXT NOT NULL,
    url TEXT,
    reason TEXT,
    updated_at BIGINT NOT NULL,
    PRIMARY KEY (analysis, target)
);

CREATE TABLE comment (
    workspace TEXT NOT NULL REFERENCES workspace (id),
    integration TEXT NOT NULL,
    repository TEXT NOT NULL,
    target TEXT NOT NULL,
    marker TEXT NOT NULL,
    forge_comment_id TEXT,
    url TEXT,
    body_hash TEXT,
    state TEXT NOT NULL,
    run_id TEXT,
    updated_at BIGINT NOT NULL,
    PRIMARY KEY (integration, repository, target)
);

CREATE TABLE incident (
    id TEXT PRIMARY KEY NOT NULL,
    workspace TEXT NOT NULL REFERENCES workspace (id),
    code TEXT NOT NULL,
    severity TEXT NOT NULL,
    message TEXT NOT NULL,
    remedy TEXT NOT NULL,
    integration_key TEXT NOT NULL,
    repository_key TEXT NOT NULL,
    opened_at BIGINT NOT NULL,
    resolved_at BIGINT
);
CREATE UNIQUE INDEX incident_open ON incident (workspace, code, integration_key, repository_key) WHERE resolved_at IS NULL;
CREATE INDEX incident_workspace ON incident (workspace, id);

CREATE TABLE mark (
    workspace TEXT NOT NULL REFERENCES workspace (id),
    name TEXT NOT NULL,
    value TEXT NOT NULL,
    updated_at BIGINT NOT NULL,
    PRIMARY KEY (workspace, name)
);

CREATE TABLE audit (
    workspace TEXT NOT NULL REFERENCES workspace (id),
    seq BIGINT NOT NULL,
    at BIGINT NOT NULL,
    actor TEXT NOT NULL,
    action TEXT NOT NULL,
    target TEXT NOT NULL,
    detail TEXT NOT NULL,
    previous TEXT NOT NULL,
    hash TEXT NOT NULL,
    PRIMARY KEY (workspace, seq)
);
