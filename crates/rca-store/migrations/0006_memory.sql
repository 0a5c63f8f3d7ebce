-- What was posted in the last hour, so that rate caps hold in all replicas; what passing logs of a job look like; what
-- a report follows from, so that the same is not computed twice.

CREATE TABLE comment_post (
    workspace TEXT NOT NULL REFERENCES workspace (id),
    repository TEXT NOT NULL,
    target TEXT NOT NULL,
    body_hash TEXT NOT NULL,
    posted_at BIGINT NOT NULL,
    PRIMARY KEY (workspace, repository, target, body_hash)
);
CREATE INDEX comment_post_time ON comment_post (workspace, repository, posted_at);

CREATE TABLE baseline (
    workspace TEXT NOT NULL REFERENCES workspace (id),
    repository TEXT NOT NULL,
    job_name TEXT NOT NULL,
    branch_class TEXT NOT NULL,
    encoded BYTEA NOT NULL,
    learned TEXT NOT NULL,
    updated_at BIGINT NOT NULL,
    PRIMARY KEY (workspace, repository, job_name, branch_class)
);
CREATE INDEX baseline_updated ON baseline (updated_at);

ALTER TABLE analysis ADD COLUMN input_key TEXT;
CREATE INDEX analysis_input ON analysis (workspace, input_key) WHERE input_key IS NOT NULL;
