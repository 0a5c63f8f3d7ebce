-- What pages ask for, each by an index: lists by filter, the jobs of a run, statistics without reading reports, search.

ALTER TABLE cluster ADD COLUMN resolved_at BIGINT;
CREATE INDEX cluster_seen ON cluster (workspace, last_seen_at, id);

CREATE INDEX analysis_repository_key ON analysis (workspace, repository_key, id);
CREATE INDEX analysis_root ON analysis (workspace, root_run_id, id);
CREATE INDEX analysis_run ON analysis (workspace, run_id, id);
CREATE INDEX analysis_commit ON analysis (workspace, commit_sha, id);
CREATE INDEX analysis_branch ON analysis (workspace, branch, id);
CREATE INDEX analysis_category ON analysis (workspace, category, id);
CREATE INDEX analysis_state ON analysis (workspace, state, id);
CREATE INDEX analysis_severity ON analysis (workspace, severity, id);
CREATE INDEX analysis_forge ON analysis (workspace, forge, id);
CREATE INDEX analysis_created_id ON analysis (workspace, created_at, id);
CREATE INDEX analysis_cluster_day ON analysis (cluster_id, created_at);
-- Holds all that is counted, so that counting reads no report.
CREATE INDEX analysis_counted ON analysis (workspace, created_at, source, state, finished_at, category, cluster_id, duration_seconds, repository);

-- A repository does not change, so that this costs nothing but the insertion.
CREATE INDEX delivery_repository ON delivery (workspace, repository, id);

CREATE INDEX notification_run ON notification (workspace, run_id);

-- The names of failed tests, so that they are found without reading reports.
CREATE TABLE failed_test (
    workspace TEXT NOT NULL REFERENCES workspace (id),
    repository TEXT NOT NULL,
    name TEXT NOT NULL,
    analysis TEXT NOT NULL REFERENCES analysis (id) ON DELETE CASCADE,
    first_seen_at BIGINT NOT NULL,
    seen_at BIGINT NOT NULL,
    PRIMARY KEY (workspace, repository, name)
);
CREATE INDEX failed_test_analysis ON failed_test (analysis);
