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

#[test]
fn the_document_of_the_settings_is_current() {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/CONFIGURATION.md");
    let wanted = server::configuration::document();
    if std::env::var_os("UPDATE_DOCUMENTS").is_some() {
        fs::write(&path, &wanted).unwrap();
    }
    let written = fs::read_to_string(&path).unwrap_or_default();
    assert!(
        written == wanted,
        "docs/CONFIGURATION.md is not up to date: run the tests with UPDATE_DOCUMENTS=1"
    );
    // Every variable of the environment stands in the commented defaults, beside its setting.
    for line in wanted.lines().filter(|line| line.starts_with("- `")) {
        let Some(name) = line.split("(`").nth(1).and_then(|rest| rest.split('`').next()) else { continue };
        assert!(server::config::DEFAULTS.contains(name), "{name} is not named in config.default.toml");
    }
}

#[test]
fn a_language_model_is_off_unless_it_has_an_address() {
    assert!(load("", &[]).unwrap().language_model.is_none());
    let folder = tempfile::tempdir().unwrap();
    let key = folder.path().join("key");
    fs::write(&key, "very-secret\n").unwrap();
    let key = key.to_str().unwrap();
    let set = load(
        "[language_model]\nbase_url = \"https://llm.example.com/v1\"\nmodel = \"small\"\n",
        &[("FORGE_RCA_LANGUAGE_MODEL_KEY_FILE", key)],
    )
    .unwrap();
    assert!(!format!("{set:?}").contains("very-secret"), "secrets do not print");
    let model = set.language_model.unwrap();
    assert_eq!((model.model.as_str(), model.timeout.as_secs()), ("small", 15));
    assert_eq!(secrecy::ExposeSecret::expose_secret(&model.api_key.unwrap()), "very-secret");
    let faults = load(
        "[language_model]\nbase_url = \"http://llm.example.com\"\napi_key = \"k\"\ntimeout = 0\n",
        &[("FORGE_RCA_LANGUAGE_MODEL_KEY_FILE", "/nowhere")],
    )
    .unwrap_err();
    for part in ["must begin with https://", "must name the model", "at least 1 second", "not both"] {
        assert!(faults.iter().any(|fault| fault.contains(part)), "{part}: {faults:?}");
    }
}

#[test]
fn quotas_and_retention_are_checked() {
    let set = load(
        "[quotas]\nrequests_per_minute = 5\n[retention]\nanalyses = 30\n",
        &[("FORGE_RCA_TRUSTED_PROXIES", "10.0.0.0/8"), ("FORGE_RCA_RETENTION_DELIVERIES", "14")],
    )
    .unwrap();
    assert_eq!((set.quotas.requests_per_minute, set.quotas.trusted_proxies.len()), (5, 1));
    let day = 24 * 60 * 60 * 1000;
    assert_eq!((set.retention.analyses_ms, set.retention.deliveries_ms), (30 * day, 14 * day));
    let faults = load("[quotas]\ntrusted_proxies = [\"x\"]\n[retention]\ndeliveries = 1\ntasks = 0\n", &[])
        .unwrap_err();
    for part in ["trusted_proxies", "retention.deliveries", "at least 1 day"] {
        assert!(faults.iter().any(|fault| fault.contains(part)), "{part}: {faults:?}");
    }
}
