use forge_core::{Error, ErrorKind, ForgeKind, Instance, Retry, url::append};

#[test]
fn keeps_the_path_and_drops_the_slash() {
    for (given, kept) in [
        ("https://gitlab.example.com", "https://gitlab.example.com/"),
        ("https://host.example/gitlab/", "https://host.example/gitlab"),
        ("  https://host.example:8443/a/b  ", "https://host.example:8443/a/b"),
        ("http://127.0.0.1:9000", "http://127.0.0.1:9000/"),
    ] {
        assert_eq!(Instance::new(given).unwrap().base_url().as_str(), kept, "{given}");
    }
}

#[test]
fn refuses_what_is_no_base_url() {
    for given in [
        "",
        "gitlab.example.com",
        "ftp://host.example",
        "file:///etc/passwd",
        "https://user@host.example",
        "https://user:hunter2@host.example",
        "https://host.example/?q=1",
        "https://host.example/#part",
        "javascript:alert(1)",
    ] {
        let error = Instance::new(given).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput, "{given}");
        assert!(error.hint().is_some(), "{given} needs a remedy");
        assert!(!error.to_string().contains("hunter2"), "{given}: the text must not repeat a password");
    }
}

#[test]
fn appends_below_a_relative_root() {
    let base = Instance::new("https://host.example/gitlab/").unwrap();
    let url = append(base.base_url(), "/api/v4/projects/1?simple=true").unwrap();
    assert_eq!(url.as_str(), "https://host.example/gitlab/api/v4/projects/1?simple=true");
}

#[test]
fn error_text_names_operation_and_remedy() {
    let error = Error::new(ErrorKind::Forbidden, "the token lacks a scope")
        .with_forge(ForgeKind::GITLAB)
        .with_operation("list hooks of group/shop")
        .with_operation("a later one that must not replace the first")
        .with_hint("create a token with the scope api");
    assert_eq!(
        error.to_string(),
        "cannot list hooks of group/shop: the token lacks a scope (hint: create a token with the scope api)"
    );
    assert_eq!(error.retry(), Retry::Never);
    assert_eq!(Error::new(ErrorKind::Timeout, "no answer").retry(), Retry::Backoff);
}

#[test]
fn forge_ids_round_trip() {
    for kind in ForgeKind::ALL {
        assert_eq!(kind.as_str().parse::<ForgeKind>().unwrap(), kind);
        assert_eq!(serde_json::to_value(kind).unwrap(), kind.as_str());
    }
    let error = "gitea".parse::<ForgeKind>().unwrap_err();
    assert!(error.to_string().contains("bitbucket-dc"), "the text lists what there is: {error}");
}
