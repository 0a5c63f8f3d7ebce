-- Members, how runs ended, and how long failed jobs ran: for roles and statistics.

CREATE TABLE member (
    id TEXT PRIMARY KEY NOT NULL,
    workspace TEXT NOT NULL REFERENCES workspace (id),
    email TEXT NOT NULL,
    role TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    UNIQUE (workspace, email)
);

CREATE TABLE finished_run (
    workspace TEXT NOT NULL REFERENCES workspace (id),
    integration TEXT NOT NULL,
    repository TEXT NOT NULL,
    run_id TEXT NOT NULL,
    attempt BIGINT NOT NULL,
    failed BIGINT NOT NULL,
    finished_at BIGINT NOT NULL,
    PRIMARY KEY (integration, repository, run_id, attempt)
);
CREATE INDEX finished_run_time ON finished_run (workspace, finished_at);

ALTER TABLE analysis ADD COLUMN duration_seconds BIGINT;
CREATE INDEX analysis_created ON analysis (workspace, created_at);
