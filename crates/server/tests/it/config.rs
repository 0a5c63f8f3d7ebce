use std::fs;

use server::Config;

use crate::program::command;

fn load(file: &str, environment: &[(&str, &str)]) -> Result<Config, Vec<String>> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("forge-rca.toml");
    fs::write(&path, file).unwrap();
    let environment = environment.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    Config::load(Some(&path), environment).map_err(|error| error.faults().to_vec())
}

#[test]
fn defaults_file_and_environment_in_this_order() {
    let defaults = Config::load(None, []).unwrap();
    assert_eq!(defaults.listen.to_string(), "127.0.0.1:8787");
    assert_eq!(defaults.poll_interval, 60);
    assert!(!defaults.dangerous_allow_http);
    assert!(defaults.allowed_networks.is_empty());
    let file = "[server]\nlisten = \"0.0.0.0:80\"\n[polling]\ninterval = 120\n";
    assert_eq!(load(file, &[]).unwrap().listen.to_string(), "0.0.0.0:80");
    let over = load(file, &[("FORGE_RCA_LISTEN", "127.0.0.1:1"), ("PATH", "/bin")]).unwrap();
    assert_eq!((over.listen.to_string().as_str(), over.poll_interval), ("127.0.0.1:1", 120));
}

#[test]
fn all_faults_are_named_at_once() {
    let faults = load(
        "[server]\nlisten = \"nowhere\"\nlissten = 1\n[log]\nformat = \"xml\"\n",
        &[
            ("FORGE_RCA_POLL_INTERVAL", "soon"),
            ("FORGE_RCA_LISTN", "x"),
            ("FORGE_RCA_ALLOWED_NETWORKS", "10.0.0.0/8, mars"),
        ],
    )
    .unwrap_err()
    .join("\n");
    for part in [
        "server.listen",
        "lissten",
        "log.format",
        "FORGE_RCA_POLL_INTERVAL",
        "FORGE_RCA_LISTN",
        "allowed_networks",
    ] {
        assert!(faults.contains(part), "{part} is not named in:\n{faults}");
    }
}

#[test]
fn platform_apps_need_both_halves() {
    let app =
        load("", &[("FORGE_RCA_GITLAB_CLIENT_ID", "id"), ("FORGE_RCA_GITLAB_CLIENT_SECRET", "very-secret")])
            .unwrap();
    assert_eq!(app.platform_apps.len(), 1);
    assert!(!format!("{app:?}").contains("very-secret"), "secrets do not print");
    let faults = load("", &[("FORGE_RCA_BITBUCKET_CLOUD_CLIENT_ID", "id")]).unwrap_err();
    assert!(faults.iter().any(|fault| fault.contains("bitbucket-cloud")), "{faults:?}");
}

#[test]
fn a_wrong_setting_keeps_the_server_from_starting() {
    let output = command()
        .args(["serve"])
        .env("FORGE_RCA_LISTEN", "nowhere")
        .env("FORGE_RCA_TYPO", "1")
        .output()
        .unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{stderr}");
    assert!(stderr.contains("server.listen") && stderr.contains("FORGE_RCA_TYPO"), "{stderr}");
}

#[test]
fn another_master_key_is_refused_and_nothing_written() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let doctor = |key: &str| {
        command()
            .args(["doctor", "--json"])
            .env("FORGE_RCA_DATA_DIR", &data)
            .env("FORGE_RCA_MASTER_KEY_FILE", folder.path().join(key))
            .env("FORGE_RCA_PUBLIC_URL", "https://rca.example.com")
            .output()
            .unwrap()
    };
    rca_store::KeyRing::generate_file(&folder.path().join("a.key")).unwrap();
    rca_store::KeyRing::generate_file(&folder.path().join("b.key")).unwrap();
    let first = doctor("a.key");
    assert_eq!(first.status.code(), Some(0), "{}", String::from_utf8_lossy(&first.stdout));
    let wrong = doctor("b.key");
    assert_eq!(wrong.status.code(), Some(1));
    assert!(
        String::from_utf8_lossy(&wrong.stdout).contains("key"),
        "{}",
        String::from_utf8_lossy(&wrong.stdout)
    );
    assert_eq!(doctor("a.key").status.code(), Some(0), "the right key still fits");
}
