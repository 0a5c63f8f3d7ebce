//! Nothing that comes from outside is anything but text on a page: every page of a server is read whose jobs, branches,
//! repositories, accounts, channels and logs have the worst names there are.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use forge_testkit::{FakeGitLab, JobSpec, PullSpec, RunSpec, TokenKind, TokenSpec};
use reqwest::Method;
use secrecy::ExposeSecret as _;
use serde_json::{Value, json};
use url::{Url, form_urlencoded};

use crate::{
    support::{OWNER, TestServer, pytest_log},
    web::{Page, Web},
};

/// A name. As markup, an attribute or a template it would leave an element with `data-evil`, set `window.evil`, or say
/// 1337. Without a slash, so that it can be the name of anything.
pub(crate) const EVIL: &str =
    "\"><img src=x data-evil onerror=evil=1>' onfocus=evil=2 data-evil autofocus '{{7*191}}\u{202e}\u{200b}";
/// What else a log line, a note or an address can hold.
const MORE_EVIL: [&str; 7] = [
    "</code></pre></textarea></title></script><script data-evil>evil=3</script>",
    "<svg data-evil onload=evil=4><a href=\"javascript:evil=5\" data-evil>x</a></svg>",
    "<b data-evil hx-get=/sign-out hx-trigger=load hx-on:click=evil=6>x</b>",
    "javascript:evil=7",
    "${7*191} {% include \"layout.html\" %} <!-- -->",
    "\u{202e}gnp.exe\u{202c} zero\u{200b}width\u{feff}",
    "<style data-evil>*{display:none}</style><base href=//evil.example data-evil>",
];
/// Pages of one form (ids aside) that are read; more of them hold nothing new.
const OF_ONE_FORM: usize = 8;

/// Everything that has a page, under names that are hostile.
pub(crate) struct Filled {
    pub(crate) server: TestServer,
    _fakes: [FakeGitLab; 2],
}

impl Filled {
    pub(crate) async fn start() -> Self {
        let (server, fake, broken) =
            (TestServer::start().await, FakeGitLab::start().await, FakeGitLab::start().await);
        let repo = fake.add_repo(&format!("acme/{EVIL}"));
        let integration = server.connect(&fake).await;
        let path = format!("/v1/integrations/{integration}/repositories");
        let id = crate::support::eventually("the repository is discovered", async || {
            let list = server.get(&path).await.expect(200);
            Some(list["items"].as_array()?.first()?["id"].as_str()?.to_owned())
        })
        .await;
        server.post(&format!("{path}/monitor"), json!({"add": [id]})).await.expect(200);
        let evil = format!("{EVIL} {}", MORE_EVIL.join(" "));
        let log =
            pytest_log().replace("test_total_with_tax", &format!("test_total[{EVIL}]")).replace("480", EVIL);
        let log = format!("{}\n{log}", MORE_EVIL.join("\n"));
        let pull = fake.open_pull(&repo, &PullSpec::new(&evil, EVIL));
        let jobs = vec![JobSpec::failed(EVIL, log.clone()), JobSpec::failed(&evil, pytest_log())];
        for outcome in fake.deliver(&fake.add_run(&repo, &RunSpec::new(jobs).for_pull(&pull))).await {
            assert!(outcome.is_success(), "{outcome:?}");
        }
        let found = server.analyses("", 2).await;
        server.idle().await;
        let causes: Vec<&str> = found.iter().filter_map(|it| it["report"]["root_cause"].as_str()).collect();
        assert!(causes.iter().any(|cause| cause.contains("data-evil")), "a cause is hostile: {causes:?}");
        for analysis in &found {
            let path = format!("/v1/analyses/{}/verdict", analysis["id"].as_str().unwrap());
            server.post(&path, json!({"correct": false, "note": evil})).await.expect(200);
        }

        for url in ["javascript:evil=8", "https://forge.example/\"><img src=x data-evil>"] {
            let query = query(&[
                ("project", EVIL),
                ("job_name", EVIL),
                ("branch", EVIL),
                ("commit_sha", EVIL),
                ("pipeline_url", url),
                ("wait", "30"),
            ]);
            let request = server.request(Method::POST, &format!("/v1/ingest/raw?{query}")).bearer_auth(OWNER);
            let answer = server.send(request.body(format!("{log}{url}\n"))).await;
            assert!(matches!(answer.status.as_u16(), 200 | 422), "{}", answer.text);
        }
        let channel = json!({
            "kind": "webhook",
            "name": EVIL,
            "config": {"url": "https://127.0.0.1:9/%22%3E%3Cimg%20data-evil%3E"},
            "filters": {"branches": [EVIL]},
        });
        server.post("/v1/channels", channel).await.expect(201);
        server.post("/v1/tokens", json!({"name": EVIL, "role": "viewer"})).await.expect(201);
        let member = json!({"email": "\"><img/data-evil/src=x>@evil.example", "role": "viewer"});
        let member = server.post("/v1/members", member).await;
        assert!(matches!(member.status.as_u16(), 201 | 422), "{}", member.text);

        // One whose credential dies, and whose account is called like that: for incidents and integrations in trouble.
        let token = TokenSpec::new(TokenKind::Personal, &["api"]).with_login(EVIL);
        let token = broken.add_token(&token);
        let body = json!({
            "base_url": broken.base_url().as_str(),
            "token": token.expose_secret(),
            "mode": "webhook",
            "backfill": {"enabled": false},
        });
        let made = server.post("/v1/integrations/gitlab/token", body).await.expect(201);
        broken.revoke_token(&token);
        let path = format!("/integrations/{}", made["id"].as_str().unwrap());
        Web::owner(&server).await.post(&path, &format!("{path}/check"), &[]).await.redirect();
        Self { server, _fakes: [fake, broken] }
    }

    /// Reads every page that a link leads to, from the first one on. Gives the addresses by their forms.
    pub(crate) async fn crawl(&self) -> Crawl {
        let web = Web::owner(&self.server).await;
        let mut crawl = Crawl::default();
        let search = format!("/search?{}", query(&[("q", "data-evil")]));
        let mut waiting: VecDeque<String> =
            ["/", "/sign-in", "/incidents", "/connect/done", &search].map(String::from).into();
        let mut known: BTreeSet<String> = waiting.iter().cloned().collect();
        while let Some(address) = waiting.pop_front() {
            let of_form = crawl.forms.entry(form_of(&address)).or_default();
            if of_form.len() == OF_ONE_FORM {
                continue;
            }
            of_form.push(address.clone());
            let page = web.get(&address).await;
            assert!(page.status < 400, "{address}: {} {}", page.status, page.text);
            for link in inert(&self.server, &address, &page) {
                let link = link.split('#').next().unwrap().to_owned();
                if link.starts_with('/') && !link.starts_with("/assets/") && known.insert(link.clone()) {
                    waiting.push_back(link);
                }
            }
            if page.text.contains("data-evil") {
                crawl.with_evil.insert(path_of(&address));
            }
            if page.text.contains("&#60;U+202E&#62;") {
                crawl.with_marks.insert(path_of(&address));
            }
        }
        crawl
    }
}

/// What was read.
#[derive(Debug, Default)]
pub(crate) struct Crawl {
    forms: BTreeMap<String, Vec<String>>,
    /// The paths of pages that showed something hostile.
    with_evil: BTreeSet<String>,
    /// The paths of pages that showed a character that cannot be seen.
    with_marks: BTreeSet<String>,
}

impl Crawl {
    /// A page of this path, where `*` is an id.
    #[track_caller]
    pub(crate) fn one(&self, path: &str) -> &str {
        let is_it = |form: &&String| form.split('?').next() == Some(path);
        let form =
            self.forms.keys().find(is_it).unwrap_or_else(|| panic!("no link leads to {path}: {self:#?}"));
        &self.forms[form][0]
    }
}

/// Path with `*` for ids.
fn path_of(address: &str) -> String {
    let path = address.split('?').next().unwrap_or_default();
    let is_id = |part: &&str| part.contains(|c: char| c.is_ascii_digit());
    path.split('/').map(|part| if is_id(&part) { "*" } else { part }).collect::<Vec<_>>().join("/")
}

/// Path with `*` for ids, and the names in the query.
fn form_of(address: &str) -> String {
    let query = address.split_once('?').map_or("", |(_, query)| query);
    let names: BTreeSet<String> =
        form_urlencoded::parse(query.as_bytes()).map(|(name, _)| name.into_owned()).collect();
    format!("{}?{}", path_of(address), names.into_iter().collect::<Vec<_>>().join("&"))
}

fn query(pairs: &[(&str, &str)]) -> String {
    form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish()
}

/// A start tag as a browser reads it, and the text behind it.
#[derive(Debug)]
struct Tag<'p> {
    name: String,
    attributes: Vec<(String, String)>,
    text: &'p str,
}

/// All start tags, also in what a browser would read as mere text: the stricter reading.
fn tags(page: &str) -> Vec<Tag<'_>> {
    let mut tags = Vec::new();
    let mut rest = page;
    let upto = |text: &str, ends: &[char]| {
        text.find(|c: char| c.is_ascii_whitespace() || ends.contains(&c)).unwrap_or(text.len())
    };
    while let Some(at) = rest.find('<') {
        rest = &rest[at + 1..];
        if !rest.starts_with(|c: char| c.is_ascii_alphabetic()) {
            continue;
        }
        let (name, after) = rest.split_at(upto(rest, &['>', '/']));
        let mut attributes = Vec::new();
        rest = after;
        loop {
            rest = rest.trim_start_matches(|c: char| c.is_ascii_whitespace() || c == '/');
            if rest.is_empty() || rest.starts_with('>') {
                break;
            }
            let (name, after) = rest.split_at(upto(rest, &['>', '/', '=']));
            rest = after.trim_start();
            let mut value = "";
            if let Some(after) = rest.strip_prefix('=') {
                let after = after.trim_start();
                let quote = after.chars().next().filter(|c| matches!(c, '"' | '\''));
                (value, rest) = match quote {
                    Some(quote) => after[1..].split_once(quote).expect("a quote is closed"),
                    None => after.split_at(upto(after, &['>'])),
                };
            }
            attributes.push((name.to_ascii_lowercase(), unescaped(value)));
        }
        let text = rest.trim_start_matches('>').split('<').next().unwrap_or_default();
        tags.push(Tag { name: name.to_ascii_lowercase(), attributes, text });
    }
    tags
}

/// The page without what stands in fields: that must come back as it was.
fn without_values(page: &str) -> String {
    let mut shown = String::new();
    let mut rest = page;
    while let Some(at) = [" value=\"", "<textarea "].iter().filter_map(|begin| rest.find(begin)).min() {
        shown.push_str(&rest[..at]);
        let end = if rest[at..].starts_with('<') { "</textarea>" } else { "\"" };
        let inner = &rest[at + " value=\"".len()..];
        rest = inner.split_once(end).map_or("", |(_, after)| after);
    }
    shown.push_str(rest);
    shown
}

fn unescaped(text: &str) -> String {
    let mut plain = text.to_owned();
    // The ampersand last: what was escaped twice stays escaped once.
    for (escaped, character) in [("60", "<"), ("62", ">"), ("34", "\""), ("39", "'"), ("38", "&")] {
        plain = plain.replace(&format!("&#{escaped};"), character);
    }
    plain.replace("&amp;", "&")
}

/// Asserts everything that holds for each answer to a browser; gives where its links lead.
#[track_caller]
fn inert(server: &TestServer, address: &str, page: &Page) -> Vec<String> {
    let header = |name: &str| page.headers.get(name).and_then(|it| it.to_str().ok()).unwrap_or_default();
    let policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; \
        font-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'";
    let is_html = header("content-type").starts_with("text/html");
    let is_strict = page.policy.starts_with("default-src 'none'; frame-ancestors 'none'");
    // What is no page (an address that only takes forms) has the policy of the API.
    assert!(page.policy == policy || (!is_html && is_strict), "{address}: {}", page.policy);
    assert_eq!(header("x-content-type-options"), "nosniff", "{address}");
    assert_eq!(header("x-frame-options"), "DENY", "{address}");
    assert!(matches!(header("referrer-policy"), "same-origin" | "no-referrer"), "{address}");
    if !is_html {
        let is_file = header("content-disposition").starts_with("attachment");
        let is_inert = page.text.is_empty() || header("content-type") == "application/json";
        assert!(is_file || is_inert, "{address} is shown as {}", header("content-type"));
        return Vec::new();
    }
    assert!(!page.text.contains("1337"), "{address}: a template was evaluated");
    let hidden = |c: char| {
        (c.is_control() && !matches!(c, '\n' | '\r' | '\t'))
            || matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
    };
    let shown = without_values(&page.text);
    if let Some(at) = shown.find(hidden) {
        let around: String =
            shown[..at].chars().rev().take(200).collect::<Vec<_>>().into_iter().rev().collect();
        panic!("{address}: what cannot be seen is not marked after {around}");
    }
    let mut links = Vec::new();
    for tag in tags(&page.text) {
        let forbidden = ["iframe", "frame", "object", "embed", "base", "style", "img"];
        assert!(!forbidden.contains(&tag.name.as_str()), "{address}: {tag:?}");
        let of =
            |name: &str| tag.attributes.iter().find(|(it, _)| it == name).map(|(_, value)| value.as_str());
        if tag.name == "script" {
            assert!(tag.text.is_empty() && of("src").is_some(), "{address}: an inline script: {tag:?}");
        }
        for (name, value) in &tag.attributes {
            let is_active =
                name.starts_with("on") || name.starts_with("hx-on") || name == "style" || name == "srcdoc";
            assert!(!is_active && name != "data-evil", "{address}: {tag:?}");
            let is_address = matches!(
                name.as_str(),
                "href" | "xlink:href" | "src" | "action" | "formaction" | "hx-get" | "hx-post"
            );
            if !is_address {
                continue;
            }
            let is_local = match value.as_bytes() {
                [] | [b'#' | b'?', ..] | [b'/'] => true,
                [b'/', second, ..] => !matches!(second, b'/' | b'\\'),
                _ => value.starts_with(&server.base),
            };
            if !is_local {
                assert_eq!((tag.name.as_str(), name.as_str()), ("a", "href"), "{address}: {tag:?}");
                let url = Url::parse(value).unwrap_or_else(|error| panic!("{address}: {error}: {tag:?}"));
                assert!(matches!(url.scheme(), "http" | "https"), "{address}: {tag:?}");
                let rel = of("rel").unwrap_or_default();
                assert!(rel.contains("noopener") && rel.contains("noreferrer"), "{address}: {tag:?}");
            }
            if is_local && matches!(name.as_str(), "href" | "hx-get") {
                links.push(value.clone());
            }
        }
    }
    links
}

#[test]
fn what_is_not_escaped_is_found() {
    for place in ["<p>EVIL</p>", "<input value=\"EVIL\">", "<input value='EVIL'>", "<title>EVIL</title>"] {
        let page = place.replace("EVIL", EVIL);
        let found = tags(&page);
        let is_evil = |tag: &Tag<'_>| tag.attributes.iter().any(|(name, _)| name == "data-evil");
        assert!(found.iter().any(is_evil), "{page}: {found:?}");
    }
}

#[tokio::test]
async fn hostile_names_are_text_on_every_page() {
    let filled = Filled::start().await;
    let crawl = filled.crawl().await;
    for path in [
        "/",
        "/failures",
        "/analyses/*",
        "/analyses/*/log",
        "/analyses/*/export",
        "/clusters",
        "/clusters/*",
        "/integrations",
        "/integrations/*",
        "/integrations/*/repositories",
        "/integrations/*/repositories/*",
        "/integrations/*/disconnect",
        "/deliveries",
        "/deliveries/*",
        "/channels",
        "/channels/new",
        "/channels/*",
        "/settings",
        "/members",
        "/tokens",
        "/audit",
        "/audit.csv",
        "/incidents",
        "/search",
        "/send",
        "/connect",
        "/connect/gitlab",
        "/connect/github",
        "/connect/bitbucket-cloud",
        "/connect/bitbucket-dc",
        "/connect/gitflic",
        "/connect/done",
        "/sign-in",
    ] {
        crawl.one(path);
    }
    for path in [
        "/",
        "/failures",
        "/analyses/*",
        "/analyses/*/log",
        "/clusters",
        "/clusters/*",
        "/integrations",
        "/integrations/*",
        "/integrations/*/repositories",
        "/integrations/*/repositories/*",
        "/deliveries",
        "/deliveries/*",
        "/channels",
        "/channels/*",
        "/tokens",
        "/search",
    ] {
        assert!(crawl.with_evil.contains(path), "nothing hostile was on {path}: {:#?}", crawl.with_evil);
        assert!(crawl.with_marks.contains(path), "nothing hidden was on {path}: {:#?}", crawl.with_marks);
    }
    filled.server.stop().await;
}

/// What a link in a mail can put into an address, and pages of refusals.
#[tokio::test]
async fn hostile_addresses_are_text_on_every_page() {
    let server = TestServer::start().await;
    let member = server.post("/v1/tokens", json!({"name": "m", "role": "member"})).await.expect(201);
    let member: Value = member["token"].clone();
    let (owner, stranger) = (Web::owner(&server).await, Web::stranger(&server));
    let member = Web::signed_in(&server, member.as_str().unwrap()).await;
    let evil: String =
        form_urlencoded::byte_serialize(EVIL.as_bytes()).collect::<String>().replace('+', "%20");
    for path in [
        "",
        "failures/",
        "analyses/",
        "clusters/",
        "integrations/",
        "deliveries/",
        "channels/",
        "operations/",
        "connect/",
        "settings/",
        "sign-in/link/",
        "assets/",
        "no/such/",
    ] {
        let address = format!("/{path}{evil}");
        let page = owner.get(&address).await;
        assert!((400..500).contains(&page.status) || path == "sign-in/link/", "{address}: {}", page.status);
        if path != "assets/" {
            inert(&server, &address, &page);
        }
    }
    let mut refused = 0;
    for (path, names) in [
        (
            "/failures",
            &["since", "until", "severity", "category", "forge", "repository", "branch", "status", "cursor"]
                [..],
        ),
        ("/clusters", &["state", "category", "repository", "cursor"]),
        ("/search", &["q"]),
        ("/deliveries", &["integration", "repository", "status", "cursor"]),
        ("/incidents", &["cursor"]),
        ("/channels/new", &["kind"]),
        ("/connect/gitlab", &["way", "at", "base_url", "reached", "version", "said"]),
        ("/audit", &["actor", "action", "target", "cursor"]),
        ("/", &["said"]),
        ("/sign-in", &["next"]),
    ] {
        for name in names {
            for value in [EVIL, "javascript:evil=1", "//evil.example"] {
                let address = format!("{path}?{}", query(&[(name, value)]));
                for web in [&owner, &member, &stranger] {
                    let page = web.get(&address).await;
                    assert!(page.status < 500, "{address}: {}", page.status);
                    refused += usize::from(page.status == 422);
                    assert!(
                        page.location.is_empty() || page.location.starts_with("/sign-in"),
                        "{}",
                        page.location
                    );
                    inert(&server, &address, &page);
                }
            }
        }
    }
    assert!(refused > 0, "something is refused");
    for (web, address, status) in [
        (&owner, "/no-such-page", 404),
        (&owner, "/failures?severity=awful", 422),
        (&member, "/members", 403),
        (&member, "/audit", 403),
        (&member, "/tokens", 403),
        (&stranger, "/failures", 303),
        (&stranger, "/no-such-page", 404),
    ] {
        let page = web.get(address).await;
        assert_eq!(page.status, status, "{address}");
        inert(&server, address, &page);
    }
    server.stop().await;
}

/// A page with everything that it loads, uncompressed, is small enough for a phone at the end of a corridor.
#[tokio::test]
async fn a_first_page_is_small() {
    const MOST: usize = 100_000;
    let filled = Filled::start().await;
    let crawl = filled.crawl().await;
    let (owner, stranger) = (Web::owner(&filled.server).await, Web::stranger(&filled.server));
    for (web, address) in [(&stranger, "/sign-in"), (&owner, "/"), (&owner, crawl.one("/analyses/*"))] {
        let page = web.get(address).await.expect(200);
        let loaded: BTreeSet<String> = tags(&page)
            .into_iter()
            .filter(|tag| matches!(tag.name.as_str(), "link" | "script"))
            .flat_map(|tag| tag.attributes)
            .filter_map(|(name, value)| matches!(name.as_str(), "href" | "src").then_some(value))
            .collect();
        assert_eq!(loaded.len(), 4, "style, two scripts and the icon: {loaded:?}");
        let waits = tags(&page).into_iter().filter(|tag| tag.name == "script");
        let waits = waits.filter(|tag| !tag.attributes.iter().any(|(name, _)| name == "defer"));
        assert_eq!(waits.count(), 0, "{address}: the first paint waits for a script");
        let mut sizes = BTreeMap::from([(address.to_owned(), page.len())]);
        for asset in loaded {
            let size = web.get(&asset).await.expect(200).len();
            assert!(size > 0, "{asset}");
            sizes.insert(asset, size);
        }
        let sum: usize = sizes.values().sum();
        assert!(sum < MOST, "{sum} bytes: {sizes:#?}");
    }
    filled.server.stop().await;
}
