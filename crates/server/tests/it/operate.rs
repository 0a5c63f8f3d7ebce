//! Operating an installation: tokens, keys, backups, and a drill of restoring one.

use std::fs;

use forge_core::model::Target;
use forge_testkit::{FakeGitLab, JobSpec, PullSpec, RepoHandle, RunSpec, logs};
use rca_store::testing::Database;
use reqwest::Method;
use secrecy::ExposeSecret as _;
use serde_json::{Value, json};

use crate::{
    kill::{Setting, eventually},
    program::{Ran, command, finish},
};

/// The program on the installation of `setting`.
fn tool(setting: &Setting, arguments: &[&str]) -> Ran {
    finish(command().args(arguments).env("FORGE_RCA_DATA_DIR", setting.data()).output().unwrap())
}

fn succeeds(setting: &Setting, arguments: &[&str]) -> Ran {
    let ran = tool(setting, arguments);
    assert_eq!(ran.code, 0, "{arguments:?}: {}{}", ran.stdout, ran.stderr);
    ran
}

async fn watch(setting: &Setting, fake: &FakeGitLab) {
    let body = json!({"base_url": fake.base_url().as_str(), "token": fake.token().expose_secret(), "mode": "webhook",
        "backfill": {"enabled": false}});
    let integration = setting.call(Method::POST, "/v1/integrations/gitlab/token", Some(body)).await.unwrap();
    let path = format!("/v1/integrations/{}/repositories", integration["id"].as_str().unwrap());
    let id: String = eventually(setting.folder.path(), "the repository is discovered", async || {
        let list: Value = setting.call(Method::GET, &path, None).await?;
        Some(list["items"].get(0)?["id"].as_str()?.to_owned())
    })
    .await;
    setting.call(Method::POST, &format!("{path}/monitor"), Some(json!({"add": [id]}))).await.unwrap();
}

/// A failed run whose delivery ends as a comment: proof that hook secrets and the forge's token open.
async fn the_loop_works(setting: &Setting, fake: &FakeGitLab, repo: &RepoHandle, number: usize) {
    let pull = PullSpec::new("change", &format!("branch-{number}")).with_sha(&format!("{number:040x}"));
    let pull = fake.open_pull(repo, &pull);
    let log = logs::pytest(logs::Framing::GitLabRunner).bytes;
    let run = fake.add_run(repo, &RunSpec::new(vec![JobSpec::failed("test", log)]).for_pull(&pull));
    fake.deliver(&run).await;
    let target = Target::Pull(pull.number.to_string());
    eventually(setting.folder.path(), "the comment is there", async || {
        (!fake.comments(repo, &target).is_empty()).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_are_rotated_and_a_backup_restored_while_work_goes_on() {
    let setting = Setting::new(None);
    let mut server = setting.start();
    setting.ready().await;
    let fake = FakeGitLab::start().await;
    let repo = fake.add_repo("acme/shop");
    watch(&setting, &fake).await;
    the_loop_works(&setting, &fake, &repo, 1).await;

    // A new key under the running server; what it seals from now on needs the new one.
    let rotated = succeeds(&setting, &["keys", "rotate"]);
    assert!(rotated.stdout.contains("key 2"), "{}", rotated.stdout);
    the_loop_works(&setting, &fake, &repo, 2).await;
    let key_file = setting.data().join("master.key");
    let both = fs::read_to_string(&key_file).unwrap();
    let pruned = succeeds(&setting, &["keys", "prune"]);
    assert!(pruned.stdout.starts_with("1 old keys removed, key 2 stays"), "{}", pruned.stdout);
    let one = fs::read_to_string(&key_file).unwrap();
    assert!(both.contains("\n1 ") && !one.contains("\n1 ") && one.contains("\n2 "), "the old key is gone");
    the_loop_works(&setting, &fake, &repo, 3).await;
    assert_eq!(succeeds(&setting, &["verify", "--json"]).json()["whole"], true);

    // A backup under the running server, and what happens after it is not in it.
    let backup = setting.folder.path().join("backup.db");
    let backup = backup.to_str().unwrap();
    succeeds(&setting, &["backup", backup]);
    let again = tool(&setting, &["backup", backup]);
    assert_eq!(again.code, 2, "a backup is never overwritten: {}", again.stderr);
    let verified = succeeds(&setting, &["verify", "--json", backup]).json();
    assert_eq!(verified["counts"]["analysis"], 3, "{verified}");
    assert_eq!(verified["sealed"]["unopened"], json!([]));
    assert!(verified["audit"]["entries"].as_i64().unwrap() > 0);

    // The drill: nothing is put over a database, then the disk is lost, then everything goes on.
    let refused = tool(&setting, &["restore", backup]);
    assert_eq!(refused.code, 2, "{}", refused.stderr);
    assert!(refused.stderr.contains("nothing is overwritten"), "{}", refused.stderr);
    server.kill().unwrap();
    server.wait().unwrap();
    let data = setting.data();
    fs::rename(&data, setting.folder.path().join("lost")).unwrap();
    let keyless = tool(&setting, &["restore", backup]);
    assert_eq!(keyless.code, 2, "without the key nothing is restored: {}", keyless.stderr);
    assert!(!data.join("forge-rca.db").exists());
    fs::copy(setting.folder.path().join("lost/master.key"), data.join("master.key")).unwrap();
    succeeds(&setting, &["restore", backup]);
    let mut server = setting.start();
    setting.ready().await;
    let analyses = setting.call(Method::GET, "/v1/analyses", None).await.unwrap();
    assert_eq!(analyses["items"].as_array().unwrap().len(), 3);
    the_loop_works(&setting, &fake, &repo, 4).await;
    assert_eq!(fake.all_comments().len(), 4, "nothing is said twice");
    server.kill().unwrap();
    server.wait().unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tokens_are_made_listed_and_revoked_beside_the_server() {
    let setting = Setting::new(None);
    assert_eq!(tool(&setting, &["token", "list"]).code, 2, "there is no database to look at");
    assert!(!setting.data().exists(), "and none was made");
    let mut server = setting.start();
    setting.ready().await;
    let made =
        succeeds(&setting, &["token", "create", "ci", "--scope", "ingest", "--scope", "read", "--json"])
            .json();
    let token = made["token"].as_str().unwrap();
    assert!(token.starts_with("frca_"));
    let status = async || {
        let request = setting.http.get(setting.url("/v1/analyses")).bearer_auth(token);
        request.send().await.unwrap().status().as_u16()
    };
    assert_eq!(status().await, 200);
    let bare = succeeds(&setting, &["token", "create", "bare", "--scope", "read"]);
    assert!(bare.stdout.starts_with("frca_") && bare.stdout.trim().len() > 40, "only the token, for scripts");
    let list = succeeds(&setting, &["token", "list", "--json"]);
    assert!(!list.stdout.contains(token), "a list shows no secret");
    let names: Vec<Value> =
        list.json().as_array().unwrap().iter().map(|token| token["name"].clone()).collect();
    assert_eq!(names, ["bare", "ci", "owner"]);
    succeeds(&setting, &["token", "revoke", made["id"].as_str().unwrap()]);
    assert_eq!(status().await, 401);
    assert_eq!(
        tool(&setting, &["token", "revoke", made["id"].as_str().unwrap()]).code,
        1,
        "it is revoked already"
    );
    for wrong in [
        &["token", "create", "x"][..],
        &["token", "create", "x", "--scope", "all"],
        &["token", "create", " ", "--scope", "read"],
        &["token", "create", "x", "--scope", "read", "--expires-at", "2001-01-01T00:00:00Z"],
    ] {
        assert_eq!(tool(&setting, wrong).code, 2, "{wrong:?}");
    }
    let audit = succeeds(&setting, &["verify", "--json"]).json();
    assert!(audit["audit"]["entries"].as_i64().unwrap() >= 3, "{audit}");
    server.kill().unwrap();
    server.wait().unwrap();
}

/// The program on a database of its own kind, with the key beside `folder`.
fn on(database: &Database, folder: &tempfile::TempDir, arguments: &[&str]) -> Ran {
    let mut command = command();
    command.args(arguments).env("DATABASE_URL", database.url()).env("FORGE_RCA_DATA_DIR", folder.path());
    finish(command.output().unwrap())
}

#[tokio::test]
async fn doctor_tells_what_was_given_up_and_what_is_wrong() {
    let database = Database::sqlite();
    let folder = tempfile::tempdir().unwrap();
    let doctor = || {
        let mut command = command();
        command.args(["doctor", "--json"]).env("DATABASE_URL", database.url());
        command
            .env("FORGE_RCA_DATA_DIR", folder.path())
            .env("FORGE_RCA_PUBLIC_URL", "https://rca.example.com");
        finish(command.output().unwrap())
    };
    assert_eq!(on(&database, &folder, &["migrate"]).code, 0);
    let well = doctor();
    assert_eq!(well.code, 0, "{}", well.stdout);
    let names = |ran: &Ran, ok: bool| -> Vec<String> {
        let checks = ran.json();
        let checks = checks.as_array().unwrap().iter().filter(|check| check["ok"] == ok);
        checks.map(|check| check["name"].as_str().unwrap().to_owned()).collect()
    };
    for name in [
        "configuration",
        "public_address",
        "outgoing_requests",
        "database",
        "incidents",
        "deliveries",
        "tasks",
    ] {
        assert!(names(&well, true).iter().any(|passed| passed == name), "{name}: {}", well.stdout);
    }
    database
        .execute("INSERT INTO incident (id, workspace, code, severity, message, remedy, integration_key, repository_key, opened_at) \
                  SELECT 'i', id, 'token_expired', 'high', 'the token is void', 'replace it', '', '', 0 FROM workspace")
        .await;
    database
        .execute("INSERT INTO task (id, workspace, lane, kind, dedup_key, payload, state, priority, turn, run_at, max_attempts, created_at, updated_at) \
                  SELECT 't', id, 'l', 'k', 'd', '{}', 'dead', 0, 0, 0, 1, 0, 0 FROM workspace")
        .await;
    let ill = doctor();
    assert_eq!(ill.code, 1, "{}", ill.stdout);
    assert_eq!(names(&ill, false), ["incident", "tasks"], "{}", ill.stdout);
    assert!(ill.stdout.contains("replace it"), "with the remedy: {}", ill.stdout);
}

async fn faults_are_found(database: &Database) {
    let folder = tempfile::tempdir().unwrap();
    let on = |arguments: &[&str]| on(database, &folder, arguments);
    assert!(on(&["migrate"]).stdout.starts_with("the schema has version "));
    for name in ["one", "two", "three"] {
        assert_eq!(on(&["token", "create", name, "--scope", "read"]).code, 0);
    }
    let whole = on(&["verify"]);
    assert_eq!(whole.code, 0, "{}{}", whole.stdout, whole.stderr);
    database.execute("UPDATE audit SET actor = 'nobody' WHERE seq = 2").await;
    database
        .execute(
            "INSERT INTO secret (workspace, owner_table, owner_id, name, key_id, sealed, updated_at) \
                  SELECT id, 'integration', 'i', 'access_token', 1, '0123', 0 FROM workspace",
        )
        .await;
    let found = on(&["verify", "--json"]);
    assert_eq!(found.code, 1);
    let found = found.json();
    assert_eq!((&found["whole"], &found["audit"]["broken"][0]["at"]), (&json!(false), &json!(2)), "{found}");
    assert_eq!(found["sealed"]["unopened"][0]["row"], "i", "{found}");
}

#[tokio::test]
async fn verify_finds_what_was_altered_on_sqlite() {
    faults_are_found(&Database::sqlite()).await;
}

#[tokio::test]
async fn verify_finds_what_was_altered_on_postgresql() {
    let Some(database) = Database::postgres().await else { return };
    faults_are_found(&database).await;
    let folder = tempfile::tempdir().unwrap();
    for (verb, instead) in [("backup", "pg_dump"), ("restore", "pg_restore")] {
        let ran = on(&database, &folder, &[verb, "x"]);
        assert_eq!(ran.code, 2);
        assert!(ran.stderr.contains(instead), "{}", ran.stderr);
    }
}

#[test]
fn what_is_no_backup_is_not_restored() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    fs::create_dir(&data).unwrap();
    rca_store::KeyRing::generate_file(&data.join("master.key")).unwrap();
    let file = folder.path().join("file");
    fs::write(&file, "not a database at all, but long enough to be looked at").unwrap();
    let restore = |file: &str| {
        finish(command().args(["restore", file]).env("FORGE_RCA_DATA_DIR", &data).output().unwrap())
    };
    assert_eq!(restore(file.to_str().unwrap()).code, 1);
    assert_eq!(restore("/nowhere/at/all").code, 2);
    let left: Vec<_> = fs::read_dir(&data).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left, ["master.key"], "nothing is left behind");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn logs_are_sent_and_reports_read_from_the_command_line() {
    let setting = Setting::new(None);
    let mut server = setting.start();
    setting.ready().await;
    let log = setting.folder.path().join("build.log");
    fs::write(&log, logs::pytest(logs::Framing::GitLabRunner).bytes).unwrap();
    let log = log.to_str().unwrap();
    let client = |arguments: &[&str], token: &str| {
        let mut command = command();
        command.args(arguments).env("FORGE_RCA_URL", setting.url("")).env("FORGE_RCA_TOKEN", token);
        finish(command.output().unwrap())
    };
    let sent = ["ingest", log, "--project", "acme/shop", "--branch", "main", "--wait", "60"];
    let report = client(&sent, crate::kill::OWNER);
    assert_eq!(report.code, 0, "{}", report.stderr);
    assert!(report.stdout.contains("test"), "a report for people: {}", report.stdout);
    let again =
        client(&["ingest", log, "--project", "acme/shop", "--branch", "main"], crate::kill::OWNER).json();
    assert_eq!(again["status"], "duplicate", "{again}");
    let ignored = client(&["ingest", log, "--status", "success"], crate::kill::OWNER).json();
    assert_eq!(ignored["status"], "ignored", "{ignored}");

    let list = client(&["analyses", "list", "--json", "--repository", "acme/shop"], crate::kill::OWNER);
    assert_eq!(list.stdout.lines().count(), 1, "{}", list.stdout);
    let id = list.json()["id"].as_str().unwrap().to_owned();
    assert_eq!(again["analysis_id"], id.as_str());
    let list = client(&["analyses", "list"], crate::kill::OWNER);
    assert!(list.stdout.starts_with(&id) && list.stdout.contains("acme/shop"), "{}", list.stdout);
    assert_eq!(client(&["analyses", "list", "--branch", "none"], crate::kill::OWNER).stdout, "");
    let whole = client(&["analyses", "show", &id, "--format", "json"], crate::kill::OWNER).json();
    assert_eq!(whole["report"]["status"], "cause_found");
    for (format, beginning) in [("sarif", "{"), ("junit", "<?xml"), ("markdown", "")] {
        let shown = client(&["analyses", "show", &id, "--format", format], crate::kill::OWNER);
        assert!(
            shown.code == 0 && shown.stdout.starts_with(beginning),
            "{format}: {}{}",
            shown.stdout,
            shown.stderr
        );
    }

    for (wrong, code, says) in [
        (&["analyses", "show", "00000000-0000-0000-0000-000000000000"][..], 1, "no such analysis"),
        (&["analyses", "show", "../tokens"], 2, "letters, digits and hyphens"),
        (&["analyses", "list", "--since", "yesterday"], 1, "since"),
        (&["ingest", "/nowhere.log"], 2, "cannot read"),
    ] {
        let ran = client(wrong, crate::kill::OWNER);
        assert_eq!(ran.code, code, "{wrong:?}: {}", ran.stderr);
        assert!(ran.stderr.contains(says), "{wrong:?}: {}", ran.stderr);
    }
    let stranger = client(&["analyses", "list"], "frca_not_a_token_of_this_server");
    assert_eq!(stranger.code, 1);
    assert!(stranger.stderr.contains("401") && !stranger.stderr.contains("frca_not"), "{}", stranger.stderr);
    let open = ["analyses", "list", "--url", "http://rca.example.com"];
    let open = client(&open, crate::kill::OWNER);
    assert_eq!(open.code, 2, "a token is not sent over plain http: {}", open.stderr);
    server.kill().unwrap();
    server.wait().unwrap();
}
