-- Lists are led by the rarest of their filters, else they walk in order through one index that holds all that pages
-- filter by. Indexes that no plan takes since are gone: each costs every write.

CREATE INDEX analysis_listed ON analysis (workspace, id, created_at, state, category, severity, forge, branch, repository, cluster_id);
CREATE INDEX analysis_cause ON analysis (workspace, cluster_id, id, created_at);
DROP INDEX analysis_workspace;
DROP INDEX analysis_created;
DROP INDEX analysis_created_id;
DROP INDEX analysis_cluster;
DROP INDEX analysis_cluster_day;

CREATE INDEX delivery_listed ON delivery (workspace, id, status, integration, repository);
CREATE INDEX delivery_status ON delivery (workspace, status, id);
CREATE INDEX delivery_integration ON delivery (workspace, integration, id);
DROP INDEX delivery_workspace;

CREATE INDEX cluster_repository_name ON cluster_repository (repository, cluster);
CREATE INDEX failed_test_seen ON failed_test (workspace, seen_at, name);

-- The repositories that a search looks through: one row each, instead of one for each of their causes.
CREATE TABLE failing_repository (
    workspace TEXT NOT NULL REFERENCES workspace (id),
    repository TEXT NOT NULL,
    count BIGINT NOT NULL,
    last_seen_at BIGINT NOT NULL,
    PRIMARY KEY (workspace, repository)
);
INSERT INTO failing_repository (workspace, repository, count, last_seen_at)
    SELECT c.workspace, r.repository, CAST(sum(r.count) AS BIGINT), max(r.last_seen_at)
    FROM cluster_repository r JOIN cluster c ON c.id = r.cluster GROUP BY c.workspace, r.repository;

-- A cluster may have been seen in very many repositories: lists say how many, and read none of them.
ALTER TABLE cluster ADD COLUMN repository_count BIGINT NOT NULL DEFAULT 0;
UPDATE cluster SET repository_count = (SELECT count(*) FROM cluster_repository r WHERE r.cluster = cluster.id);
