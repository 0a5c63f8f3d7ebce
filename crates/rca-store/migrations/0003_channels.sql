-- Channels that people are told through, and the log of what was sent to each. Configurations lie sealed in `secret`;
-- `config` is what may be shown of them.

CREATE TABLE channel (
    id TEXT PRIMARY KEY NOT NULL,
    workspace TEXT NOT NULL REFERENCES workspace (id),
    kind TEXT NOT NULL,
    name TEXT NOT NULL,
    config TEXT NOT NULL,
    filters TEXT NOT NULL,
    incidents BIGINT NOT NULL,
    enabled BIGINT NOT NULL,
    disabled_reason TEXT,
    refusals BIGINT NOT NULL DEFAULT 0,
    created_at BIGINT NOT NULL
);
CREATE INDEX channel_workspace ON channel (workspace, id);

CREATE TABLE notification (
    id TEXT PRIMARY KEY NOT NULL,
    workspace TEXT NOT NULL REFERENCES workspace (id),
    channel TEXT NOT NULL REFERENCES channel (id),
    message_key TEXT NOT NULL,
    event TEXT NOT NULL,
    subject TEXT NOT NULL,
    repository_key TEXT NOT NULL,
    place TEXT NOT NULL,
    run_id TEXT NOT NULL,
    cluster_id TEXT,
    thread TEXT,
    is_open BIGINT NOT NULL,
    state TEXT NOT NULL,
    attempts BIGINT NOT NULL DEFAULT 0,
    revision BIGINT NOT NULL DEFAULT 0,
    error TEXT,
    message TEXT NOT NULL,
    sent TEXT,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    UNIQUE (channel, message_key)
);
CREATE INDEX notification_channel ON notification (workspace, channel, id);
CREATE INDEX notification_open ON notification (channel, repository_key) WHERE is_open = 1;
CREATE INDEX notification_updated ON notification (updated_at);
