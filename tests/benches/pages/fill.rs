//! A database as a busy team has it after thirty days.

use std::path::Path;

use rca_store::testing::execute;

/// Projects that the analyses are of, and repositories of the one integration.
pub(crate) const REPOSITORIES: usize = 2_000;
/// Causes that they have.
pub(crate) const CLUSTERS: usize = 1_000;

pub(crate) fn database(folder: &Path) -> String {
    format!("sqlite://{}", folder.join("forge-rca.db").display())
}

/// Copies of the one analysis over thirty days, a delivery and a finished run for each. A fifth of them is of one repository,
/// half of the main branch, most have one of a tenth of the causes. Some values are rare, and some pairs of common values
/// never come together (`network` is never `high`): those are the lists that take longest.
pub(crate) async fn fill(folder: &Path, seed: &str, integration: &str, count: usize) {
    let url = database(folder);
    // Numbers that have nothing to do with each other, so that no two columns go together by chance.
    let mixed = |factor: u64, most: usize| format!("(i * {factor} % 4294967296 / 256 % {most})");
    let cluster = format!(
        "printf('bench-cluster-%06d', CASE WHEN i % 10 = 0 THEN {} ELSE {} END)",
        mixed(2_654_435_761, CLUSTERS),
        mixed(2_246_822_519, CLUSTERS / 10)
    );
    let repository = format!("(CASE WHEN i % 5 = 0 THEN 0 ELSE {} END)", mixed(3_266_489_917, REPOSITORIES));
    let kind = mixed(668_265_263, 4);
    let time = format!("(unixepoch() * 1000 - ({count} - i) * (30 * 86400000 / {count}))");
    let numbers = |most: usize| {
        format!("WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {most})")
    };
    let statements = [
        format!(
            "{} INSERT INTO cluster (id, workspace, fingerprint, state, category, root_cause, count, first_seen_at, \
             last_seen_at) SELECT printf('bench-cluster-%06d', i - 1), a.workspace, printf('bench-%d', i), \
             CASE WHEN i % 3 = 0 THEN 'resolved' ELSE 'active' END, a.category, printf('cause %d of the bench', i), 0, \
             unixepoch() * 1000 - 30 * 86400000, unixepoch() * 1000 - i * 60000 FROM n, (SELECT * FROM analysis WHERE id = '{seed}') a",
            numbers(CLUSTERS)
        ),
        format!(
            "{} INSERT INTO analysis (id, workspace, integration_key, forge, repository_key, repository, run_id, root_run_id, \
             attempt, job_id, job_name, branch, commit_sha, source, state, category, severity, fingerprint, cluster_id, report, \
             data, created_at, finished_at, duration_seconds) \
             SELECT printf('%08x-%04x-7000-8000-%012x', {time} / 65536, {time} % 65536, i), a.workspace, '{integration}', \
             CASE WHEN i % 997 = 0 THEN 'github' ELSE 'gitlab' END, printf('bench-%d', {repository}), \
             printf('bulk/repo-%05d', {repository} + 1), printf('%d', i / 3), printf('%d', i / 3), 1, printf('%d', i), \
             printf('test %d', i % 40), CASE WHEN i % 2 = 0 THEN 'main' ELSE printf('feature/%d', i % 500) END, \
             printf('%08x%032x', i / 3 * 2654435761 % 4294967296, i / 3), 'webhook', CASE WHEN i % 991 = 0 THEN 'failed' ELSE 'done' END, \
             CASE WHEN i % 983 = 0 THEN 'timeout' WHEN {kind} = 0 THEN 'compile_error' WHEN {kind} = 1 THEN 'network' \
             ELSE 'test_failure' END, \
             CASE WHEN i % 977 = 0 THEN 'low' WHEN {kind} = 1 OR i % 3 = 0 THEN 'medium' ELSE 'high' END, \
             a.fingerprint, {cluster}, a.report, a.data, {time}, {time} + 3000, i % 600 \
             FROM n, (SELECT * FROM analysis WHERE id = '{seed}') a",
            numbers(count)
        ),
        "INSERT OR IGNORE INTO cluster_repository (cluster, repository, count, last_seen_at) \
         SELECT cluster_id, repository, COUNT(*), MAX(created_at) FROM analysis WHERE cluster_id LIKE 'bench-%' \
         GROUP BY cluster_id, repository"
            .to_owned(),
        "INSERT OR IGNORE INTO failing_repository (workspace, repository, count, last_seen_at) \
         SELECT workspace, repository, COUNT(*), MAX(created_at) FROM analysis GROUP BY workspace, repository"
            .to_owned(),
        "UPDATE cluster SET count = (SELECT COALESCE(SUM(count), 0) FROM cluster_repository WHERE cluster = id), \
         repository_count = (SELECT COUNT(*) FROM cluster_repository WHERE cluster = id), last_analysis = (SELECT MAX(analysis.id) FROM analysis WHERE workspace = cluster.workspace \
         AND cluster_id = cluster.id) WHERE id LIKE 'bench-%'"
            .to_owned(),
        format!(
            "INSERT OR IGNORE INTO failed_test (workspace, repository, name, analysis, first_seen_at, seen_at) \
             SELECT workspace, repository, printf('tests/test_%d.py::test_refund', job_id), id, created_at, created_at \
             FROM analysis WHERE id <> '{seed}'"
        ),
        format!(
            "INSERT INTO finished_run (workspace, integration, repository, run_id, attempt, failed, finished_at) \
             SELECT workspace, '{integration}', repository_key, run_id, 1, 1, MAX(created_at) FROM analysis \
             WHERE id <> '{seed}' GROUP BY repository_key, run_id"
        ),
        format!(
            "INSERT INTO delivery (id, workspace, integration, hook, forge, delivery_key, event, repository, key_id, sealed, \
             status, analyses, received_at, finished_at) SELECT id, workspace, '{integration}', 'bench', 'gitlab', id, \
             'Pipeline Hook', repository, 1, randomblob(2000), CASE WHEN rowid % 971 = 0 THEN 'dead' WHEN rowid % 5 = 0 \
             THEN 'ignored' ELSE 'done' END, '[]', created_at, finished_at FROM analysis WHERE id <> '{seed}'"
        ),
    ];
    for statement in &statements {
        execute(&url, statement).await;
    }
}
