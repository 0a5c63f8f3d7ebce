//! `forge-rca workspace create`.

use crate::program::{Ran, command, finish};

fn create(name: &str, folder: &std::path::Path) -> Ran {
    let mut command = command();
    finish(command.args(["workspace", "create", name]).env("FORGE_RCA_DATA_DIR", folder).output().unwrap())
}

#[test]
fn prints_the_token_of_the_owner_once() {
    let folder = tempfile::tempdir().unwrap();
    let made = create("Team A", folder.path());
    assert_eq!(made.code, 0, "{}", made.stderr);
    let (one, other) = (made.json(), create("Team A", folder.path()).json());
    assert_eq!(one["name"], "Team A");
    assert!(one["token"].as_str().unwrap().starts_with("frca_"));
    assert_ne!(
        (&one["id"], &one["token"]),
        (&other["id"], &other["token"]),
        "each is a workspace of its own"
    );
    assert!(!made.stderr.contains(one["token"].as_str().unwrap()), "not on standard error: {}", made.stderr);
}

#[test]
fn a_name_that_is_none_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["", "  ", "a\nb", &"x".repeat(101)] {
        let refused = create(name, folder.path());
        assert_eq!(refused.code, 2, "{name:?}: {}", refused.stderr);
        assert!(refused.stderr.contains("1 to 100 characters"), "{}", refused.stderr);
        assert_eq!(refused.stdout, "");
    }
}
