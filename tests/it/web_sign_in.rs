//! Sessions, sign-in links and the pages for admins, by HTTP: who gets in, and what another site cannot do.

use rca_store::testing::execute;
use reqwest::{Method, RequestBuilder, StatusCode, header::HeaderMap, redirect::Policy};
use serde_json::json;

use crate::support::{Answer, OWNER, TestServer};

/// A browser without scripts: one cookie, and the field that its forms carry.
pub(crate) struct Visitor<'a> {
    server: &'a TestServer,
    http: reqwest::Client,
    cookie: String,
    csrf: String,
}

pub(crate) struct Page {
    pub(crate) status: StatusCode,
    headers: HeaderMap,
    text: String,
}

impl Page {
    #[track_caller]
    pub(crate) fn expect(self, status: u16) -> String {
        assert_eq!(self.status.as_u16(), status, "{}", self.text);
        self.text
    }

    #[track_caller]
    pub(crate) fn leads_to(&self, address: &str) {
        assert_eq!(self.status.as_u16(), 303, "{}", self.text);
        assert_eq!(self.headers["location"], address);
    }

    fn cookie(&self) -> Option<String> {
        let line = self.headers.get("set-cookie")?.to_str().unwrap();
        Some(line.split(';').next().unwrap().to_owned())
    }
}

/// What stands between two marks of a page.
pub(crate) fn between<'p>(page: &'p str, before: &str, after: &str) -> &'p str {
    let rest = page.split_once(before).unwrap_or_else(|| panic!("no {before} in {page}")).1;
    rest.split_once(after).unwrap().0
}

impl<'a> Visitor<'a> {
    fn new(server: &'a TestServer) -> Self {
        let http = reqwest::Client::builder().no_proxy().redirect(Policy::none()).build().unwrap();
        Self { server, http, cookie: String::new(), csrf: String::new() }
    }

    pub(crate) async fn signed_in(server: &'a TestServer, token: &str) -> Self {
        let mut visitor = Self::new(server);
        visitor.enter(visitor.form("/sign-in", &[("token", token)])).await;
        visitor
    }

    pub(crate) async fn with_link(server: &'a TestServer, link: &str) -> Self {
        let mut visitor = Self::new(server);
        visitor.enter(visitor.form(link, &[])).await;
        visitor
    }

    /// Sends what opens a session, and looks at the first page.
    async fn enter(&mut self, request: RequestBuilder) {
        let page = self.send(request).await;
        page.leads_to("/");
        self.cookie = page.cookie().expect("a session");
        let page = self.get("/").await.expect(200);
        self.csrf = between(&page, "name=\"csrf\" value=\"", "\"").to_owned();
    }

    fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let path = path.strip_prefix(&self.server.base).unwrap_or(path);
        let request = self.http.request(method, format!("{}{path}", self.server.base));
        if self.cookie.is_empty() { request } else { request.header("cookie", &self.cookie) }
    }

    /// A form as our own page sends it.
    fn form(&self, path: &str, fields: &[(&str, &str)]) -> RequestBuilder {
        self.form_from(&self.server.base, path, fields)
    }

    /// One that a page of `origin` sends.
    fn form_from(&self, origin: &str, path: &str, fields: &[(&str, &str)]) -> RequestBuilder {
        let mut all = vec![("csrf", self.csrf.as_str())];
        all.extend_from_slice(fields);
        self.request(Method::POST, path).header("origin", origin).form(&all)
    }

    async fn send(&self, request: RequestBuilder) -> Page {
        let response = request.header("accept", "text/html").send().await.unwrap();
        let (status, headers) = (response.status(), response.headers().clone());
        Page { status, headers, text: response.text().await.unwrap() }
    }

    pub(crate) async fn get(&self, path: &str) -> Page {
        self.send(self.request(Method::GET, path)).await
    }

    pub(crate) async fn post(&self, path: &str, fields: &[(&str, &str)]) -> Page {
        self.send(self.form(path, fields)).await
    }

    async fn api(&self, request: RequestBuilder) -> Answer {
        self.server.send(request).await
    }
}

/// Adds a member by the page and gives its id.
async fn add_member(owner: &Visitor<'_>, email: &str, role: &str) -> String {
    owner.post("/members", &[("email", email), ("role", role)]).await.leads_to("/members?said=member_added");
    let list = owner.server.get("/v1/members").await.expect(200);
    let found = list["items"].as_array().unwrap().iter().find(|member| member["email"] == email);
    found.unwrap()["id"].as_str().unwrap().to_owned()
}

async fn make_link(owner: &Visitor<'_>, member: &str) -> String {
    let page = owner.post(&format!("/members/{member}/sign-in-link"), &[]).await.expect(200);
    between(&page, "readonly value=\"", "\"").to_owned()
}

#[tokio::test]
async fn a_member_signs_in_with_a_link_once() {
    let server = TestServer::start().await;
    let owner = Visitor::signed_in(&server, OWNER).await;
    let ann = add_member(&owner, "ann@example.com", "viewer").await;
    let link = make_link(&owner, &ann).await;
    assert!(link.starts_with(&format!("{}/sign-in/link/", server.base)), "{link}");
    assert!(!owner.get("/members").await.expect(200).contains(&link), "it is shown once");

    let stranger = Visitor::new(&server);
    for _ in 0..3 {
        let opened = stranger.get(&link).await;
        assert!(opened.cookie().is_none(), "opening signs nobody in: mail scanners open links");
        assert!(opened.expect(200).contains("<form"));
    }
    let foreign = stranger.form_from("https://evil.example", &link, &[]);
    stranger.send(foreign).await.expect(403);

    let member = Visitor::with_link(&server, &link).await;
    assert!(member.get("/").await.expect(200).contains("ann@example.com"));
    let again = stranger.post(&link, &[]).await;
    assert!(again.cookie().is_none());
    assert!(again.expect(401).contains("has been used"));
    assert!(stranger.get(&link).await.expect(401).contains("has been used"));
    stranger.get("/sign-in/link/0000").await.expect(401);

    // A viewer sees no pages of admins, and may not post to them.
    member.get("/members").await.expect(403);
    member.post("/members", &[("email", "eve@example.com"), ("role", "viewer")]).await.expect(403);
    member.get("/tokens").await.expect(403);
    member.get("/audit").await.expect(403);

    // A new role counts from the next request on, and so does the end.
    let role = format!("/members/{ann}/role");
    owner.post(&role, &[("role", "admin")]).await.leads_to("/members?said=saved");
    member.get("/members").await.expect(200);
    owner.post(&format!("/members/{ann}/remove"), &[]).await.leads_to("/members?said=removed");
    member.get("/").await.leads_to("/sign-in");
    server.stop().await;
}

#[tokio::test]
async fn an_admin_does_not_become_an_owner() {
    let server = TestServer::start().await;
    let owner = Visitor::signed_in(&server, OWNER).await;
    let boss = add_member(&owner, "boss@example.com", "owner").await;
    let ann = add_member(&owner, "ann@example.com", "admin").await;
    let admin = Visitor::with_link(&server, &make_link(&owner, &ann).await).await;

    admin.post("/members", &[("email", "eve@example.com"), ("role", "owner")]).await.expect(403);
    admin.post(&format!("/members/{ann}/role"), &[("role", "owner")]).await.expect(403);
    admin.post(&format!("/members/{boss}/role"), &[("role", "viewer")]).await.expect(403);
    admin.post(&format!("/members/{boss}/remove"), &[]).await.expect(403);
    admin.post(&format!("/members/{boss}/sign-in-link"), &[]).await.expect(403);
    admin.post("/tokens", &[("name", "x"), ("role", "owner")]).await.expect(403);
    let tokens = server.get("/v1/tokens").await.expect(200);
    let of_owner = tokens["items"][0]["id"].as_str().unwrap();
    admin.post(&format!("/tokens/{of_owner}/revoke"), &[]).await.expect(403);
    server.get("/v1/tokens").await.expect(200);
    server.stop().await;
}

/// What is stored of a session's id.
fn hash_of(id: &str) -> String {
    hex::encode(<sha2::Sha256 as sha2::Digest>::digest(id))
}

#[tokio::test]
async fn a_session_is_new_bound_to_its_browser_and_ends() {
    let server = TestServer::start().await;
    // An id that somebody planted before is not the one that is signed in.
    let mut victim = Visitor::new(&server);
    victim.cookie = "forge-rca=planted".to_owned();
    victim.enter(victim.form("/sign-in", &[("token", OWNER)])).await;
    assert_ne!(victim.cookie, "forge-rca=planted");
    let mut attacker = Visitor::new(&server);
    attacker.cookie = "forge-rca=planted".to_owned();
    attacker.get("/").await.leads_to("/sign-in");

    // Signing in again ends the earlier session of the browser.
    let earlier = victim.cookie.clone();
    victim.enter(victim.form("/sign-in", &[("token", OWNER)])).await;
    attacker.cookie = earlier;
    attacker.get("/").await.leads_to("/sign-in");

    // What the database holds opens nothing.
    let file = server.folder.path().join("forge-rca.db");
    let id = victim.cookie.split_once('=').unwrap().1.to_owned();
    for suffix in ["", "-wal"] {
        let bytes = std::fs::read(format!("{}{suffix}", file.display())).unwrap_or_default();
        assert!(!bytes.windows(id.len()).any(|part| part == id.as_bytes()), "the id is not stored");
    }
    attacker.cookie = format!("forge-rca={}", hash_of(&id));
    attacker.get("/").await.leads_to("/sign-in");

    // After signing out the cookie is worth nothing.
    let page = victim.post("/sign-out", &[]).await;
    page.leads_to("/sign-in");
    assert!(page.headers["set-cookie"].to_str().unwrap().contains("Max-Age=0"));
    victim.get("/").await.leads_to("/sign-in");
    victim.api(victim.request(Method::GET, "/v1/analyses")).await.expect_error(401, "unauthorized");

    // Nor after its token was revoked, nor after too long.
    let made = server.post("/v1/tokens", json!({"name": "x", "scopes": ["read"]})).await.expect(201);
    let guest = Visitor::signed_in(&server, made["token"].as_str().unwrap()).await;
    guest.get("/").await.expect(200);
    server.delete(&format!("/v1/tokens/{}", made["id"].as_str().unwrap())).await.expect(204);
    guest.get("/").await.leads_to("/sign-in");
    let owner = Visitor::signed_in(&server, OWNER).await;
    execute(&format!("sqlite://{}", file.display()), "UPDATE session SET seen_at = 0").await;
    owner.get("/").await.leads_to("/sign-in");
    server.stop().await;
}

#[tokio::test]
async fn another_site_changes_nothing() {
    let server = TestServer::start().await;
    let owner = Visitor::signed_in(&server, OWNER).await;
    let fields = [("email", "eve@example.com"), ("role", "admin")];
    let form = |csrf: &str, origin: Option<&str>| {
        let all = [fields[0], fields[1], ("csrf", csrf)];
        let request = owner.request(Method::POST, "/members").form(&all);
        match origin {
            Some(origin) => request.header("origin", origin),
            None => request,
        }
    };
    let own = server.base.as_str();
    let other = Visitor::signed_in(&server, OWNER).await.csrf;
    for (what, request) in [
        ("no token", form("", Some(own))),
        ("no token and no origin", form("", None)),
        ("the token of another session", form(&other, Some(own))),
        ("a foreign origin, even with the token", form(&owner.csrf, Some("https://evil.example"))),
        ("a hidden origin", form(&owner.csrf, Some("null"))),
        ("JSON as text", owner.request(Method::POST, "/members").body("{\"email\": \"eve@example.com\"}")),
        ("an image", owner.request(Method::GET, "/members?email=eve@example.com&role=admin")),
    ] {
        let page = owner.send(request).await;
        assert!([200, 403].contains(&page.status.as_u16()), "{what}: {}", page.status);
        let members = server.get("/v1/members").await.expect(200);
        assert_eq!(members["items"], json!([]), "{what} changes nothing");
    }
    let signing_in = Visitor::new(&server);
    let foreign = signing_in.form_from("https://evil.example", "/sign-in", &[("token", OWNER)]);
    assert!(signing_in.send(foreign).await.cookie().is_none(), "nobody is signed in by another site");
    server.stop().await;
}

#[tokio::test]
async fn the_api_takes_a_session_with_proof_of_our_page() {
    let server = TestServer::start().await;
    let owner = Visitor::signed_in(&server, OWNER).await;
    owner.api(owner.request(Method::GET, "/v1/members")).await.expect(200);
    let body = json!({"email": "ann@example.com", "role": "viewer"});
    let add = || owner.request(Method::POST, "/v1/members").json(&body);
    owner.api(add()).await.expect_error(403, "csrf_token_missing");
    let wrong = add().header("x-csrf-token", "0".repeat(64));
    owner.api(wrong).await.expect_error(403, "csrf_token_missing");
    let foreign = add().header("x-csrf-token", &owner.csrf).header("origin", "https://evil.example");
    owner.api(foreign).await.expect_error(403, "csrf_token_missing");
    let own = add().header("x-csrf-token", &owner.csrf).header("origin", &server.base);
    let made = owner.api(own).await.expect(201);

    // A session may what its holder may, and the audit knows who it was.
    let link = make_link(&owner, made["id"].as_str().unwrap()).await;
    let ann = Visitor::with_link(&server, &link).await;
    ann.api(ann.request(Method::GET, "/v1/analyses")).await.expect(200);
    let switch = ann.request(Method::PUT, "/v1/settings").header("x-csrf-token", &ann.csrf).json(&json!({}));
    ann.api(switch).await.expect_error(403, "scope_missing");
    ann.api(ann.request(Method::GET, "/v1/audit")).await.expect_error(403, "scope_missing");
    // A token that is wrong is not made good by a cookie beside it.
    let both = owner.request(Method::GET, "/v1/members").bearer_auth("frca_wrong");
    owner.api(both).await.expect_error(401, "unauthorized");
    server.stop().await;
}

#[tokio::test]
async fn who_guesses_is_slowed_down() {
    let server = TestServer::start_with(|config| config.quotas.unproved_per_minute = 3).await;
    let stranger = Visitor::new(&server);
    for _ in 0..2 {
        stranger.post("/sign-in", &[("token", "frca_guess")]).await.expect(401);
    }
    stranger.post("/sign-in/link/guess", &[]).await.expect(401);
    for path in ["/sign-in", "/sign-in/link/guess"] {
        let page = stranger.post(path, &[("token", "frca_guess")]).await;
        assert!(page.headers.contains_key("retry-after"));
        assert!(page.headers["content-security-policy"].to_str().unwrap().contains("script-src 'self'"));
        assert!(page.expect(429).contains("Too many tries"), "{path}");
    }
    // Who knows a token comes in all the same.
    Visitor::signed_in(&server, OWNER).await;
    server.stop().await;
}

#[tokio::test]
async fn tokens_are_made_shown_once_and_revoked() {
    let server = TestServer::start().await;
    let owner = Visitor::signed_in(&server, OWNER).await;
    let bad = owner.post("/tokens", &[("name", "Jenkins <b>")]).await.expect(422);
    assert!(bad.contains("scopes must") || bad.contains("scopes: must"), "what is wrong is said: {bad}");
    assert!(bad.contains("value=\"Jenkins &#60;b&#62;\""), "what was entered stays, and is text");
    owner.post("/tokens", &[("name", "x"), ("scope", "read"), ("expires_on", "never")]).await.expect(422);

    let fields = [("name", "Jenkins"), ("scope", "ingest"), ("scope", "read"), ("expires_on", "2099-12-31")];
    let page = owner.post("/tokens", &fields).await.expect(201);
    let token = between(&page, "readonly value=\"", "\"").to_owned();
    assert!(token.starts_with("frca_"));
    assert!(!owner.get("/tokens").await.expect(200).contains(&token), "it is shown once");
    let by_token = |method: Method, path: &str| server.request(method, path).bearer_auth(&token);
    server.send(by_token(Method::GET, "/v1/analyses")).await.expect(200);
    server.send(by_token(Method::GET, "/v1/tokens")).await.expect_error(403, "scope_missing");
    let list = server.get("/v1/tokens").await.expect(200);
    let made = list["items"].as_array().unwrap().iter().find(|it| it["name"] == "Jenkins").unwrap();
    assert_eq!(made["expires_at"], "2099-12-31T23:59:59Z");

    let revoke = format!("/tokens/{}/revoke", made["id"].as_str().unwrap());
    owner.post(&revoke, &[]).await.leads_to("/tokens?said=token_revoked");
    server.send(by_token(Method::GET, "/v1/analyses")).await.expect_error(401, "unauthorized");
    owner.post(&revoke, &[]).await.expect(404);

    let page = owner.get("/audit").await.expect(200);
    assert!(page.contains("token.create") && page.contains("token.revoke"));
    let table = owner.get("/audit.csv").await;
    assert_eq!(table.headers["content-type"], "text/csv; charset=utf-8");
    assert!(table.expect(200).contains("token.revoke"));
    server.stop().await;
}
