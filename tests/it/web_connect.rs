//! Connecting and looking after integrations by the pages.

use forge_core::AppManifest;
use forge_testkit::{Fake, FakeBitbucketDc, FakeGitFlic, FakeGitHub, FakeGitLab, JobSpec, PullSpec, RunSpec};
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::json;
use url::Url;

use crate::{
    support::{TestServer, eventually, pytest_log},
    web::{Web, attribute},
};

fn token_of(fake: &Fake) -> String {
    fake.token().expose_secret().to_owned()
}

/// Connects with a token that the test can revoke.
async fn connect(server: &TestServer, fake: &Fake) -> (String, SecretString) {
    let token = fake.token();
    let body = json!({
        "base_url": fake.base_url().as_str(),
        "token": token.expose_secret(),
        "mode": "webhook",
        "backfill": { "enabled": false },
    });
    let made = server.post(&format!("/v1/integrations/{}/token", fake.kind()), body).await.expect(201);
    (made["id"].as_str().unwrap().to_owned(), token)
}

#[tokio::test]
async fn from_the_first_page_to_monitored_repositories_by_a_token() {
    let (server, fake) = (TestServer::start().await, FakeGitLab::start().await);
    let repo = fake.add_repo("acme/shop");
    fake.add_repo("acme/till");
    let web = Web::owner(&server).await;
    let first = web.get("/connect").await.expect(200);
    for forge in ["gitlab", "github", "bitbucket-cloud", "bitbucket-dc", "gitflic"] {
        assert!(first.contains(&format!("href=\"/connect/{forge}\"")), "{first}");
    }
    assert!(first.contains("Forges cannot reach http://127.0.0.1"), "said at once: {first}");

    // Nothing listens there; what was typed is kept.
    let dead = web
        .post("/connect/gitlab?at=own", "/connect/gitlab/reach", &[("base_url", "http://127.0.0.1:9")])
        .await;
    assert!(dead.status >= 400, "{}", dead.status);
    assert!(
        dead.text.contains("The forge cannot be reached")
            && dead.text.contains("value=\"http://127.0.0.1:9\"")
    );
    let base_url = fake.base_url().to_string();
    let reached = web
        .post("/connect/gitlab?at=own", "/connect/gitlab/reach", &[("base_url", &base_url)])
        .await
        .redirect();
    assert!(reached.contains("reached=yes"), "{reached}");
    let form = web.get(&format!("{reached}&way=personal")).await.expect(200);
    assert!(form.contains("Reached GitLab") && form.contains("<code>api</code>"), "{form}");

    let bad = [
        ("way", "personal"),
        ("base_url", base_url.as_str()),
        ("token", "glpat-wrong-token"),
        ("mode", "webhook"),
        ("sent", "yes"),
    ];
    let refused = web.post(&reached, "/connect/gitlab", &bad).await;
    let refused = refused.expect(422);
    assert!(
        refused.contains("The forge does not accept this token")
            && refused.contains(base_url.trim_end_matches('/')),
        "{refused}"
    );
    assert!(!refused.contains("glpat-wrong-token"), "a secret never comes back");

    let token = token_of(&fake);
    let good = [
        ("way", "personal"),
        ("base_url", base_url.as_str()),
        ("token", token.as_str()),
        ("mode", "webhook"),
        ("sent", "yes"),
        ("runs", "5"),
    ];
    let next = web.post(&reached, "/connect/gitlab", &good).await.redirect();
    assert!(next.ends_with("/repositories?step=connect"), "{next}");
    let page = eventually("the repositories are listed", async || {
        let page = web.get(&next).await.expect(200);
        (page.contains("acme/shop") && page.contains("acme/till")).then_some(page)
    })
    .await;
    assert!(page.contains("Manage hooks") && page.contains("0 of 2 repositories"), "{page}");
    let path = next.split('?').next().unwrap();
    let integration = path.split('/').nth(2).unwrap();
    let id = server.discovered(integration, &repo).await;
    let saved =
        web.post(&next, path, &[("step", "connect"), ("was_off", &id), ("on", &id)]).await.expect(200);
    assert!(
        saved.contains("1 repository is monitored") && saved.contains("Monitored, hook registered"),
        "{saved}"
    );
    assert_eq!(fake.hooks(&repo).len(), 1);
    let shown = server.get(&format!("/v1/integrations/{integration}")).await.expect(200);
    assert_eq!((&shown["backfill"]["enabled"], &shown["backfill"]["runs"]), (&json!(false), &json!(5)));
    let done = web.get(&format!("/connect/done?integration={integration}")).await.expect(200);
    assert!(done.contains("href=\"/channels\""), "{done}");
    server.stop().await;
}

#[tokio::test]
async fn oauth_ends_in_the_browser_that_began_it() {
    let (server, fake) = (TestServer::start().await, FakeGitLab::start().await);
    fake.add_user("ada");
    fake.add_repo("acme/shop");
    let callback = format!("{}/v1/integrations/gitlab/callback", server.base);
    let app = fake.add_oauth_app(&[&callback], &["api", "read_user", "read_api"], false).oauth_app();
    let web = Web::owner(&server).await;
    let base_url = fake.base_url().to_string();
    let page = web.get("/connect/gitlab").await.expect(200);
    assert!(page.contains(&callback), "the callback is there to copy: {page}");
    let secret = app.client_secret.expose_secret().to_owned();
    let begin = async || -> Url {
        let fields = [
            ("way", "oauth"),
            ("base_url", base_url.as_str()),
            ("client_id", &app.client_id),
            ("client_secret", &secret),
            ("sent", "yes"),
        ];
        let leave = web.post("/connect/gitlab", "/connect/gitlab", &fields).await.expect(200);
        attribute(&leave, "content=\"0; url=").parse().unwrap()
    };

    fake.set_approver(Some("ada"));
    let back = fake.browse(&begin().await).await.unwrap();
    let foreign = Web::stranger(&server).get(back.as_str()).await;
    assert_eq!(foreign.status, 400, "{}", foreign.text);
    let too_late = web.get(back.as_str()).await.expect(400);
    assert!(too_late.contains("begun elsewhere, or too long ago"), "a state works once: {too_late}");
    assert!(
        too_late.contains(&format!("value=\"{}\"", app.client_id)) && !too_late.contains(&secret),
        "typed values stay"
    );

    fake.set_approver(None);
    let back = fake.browse(&begin().await).await.unwrap();
    let denied = web.get(back.as_str()).await;
    assert!(denied.policy.contains("script-src 'self'"), "{}", denied.policy);
    assert!(denied.expect(400).contains("Access was not granted"));

    fake.set_approver(Some("ada"));
    let back = fake.browse(&begin().await).await.unwrap();
    let next = web.get(back.as_str()).await.redirect();
    assert!(next.starts_with("/integrations/") && next.ends_with("/repositories?step=connect"), "{next}");
    assert!(web.get(&next).await.expect(200).contains("GitLab as ada"));
    server.stop().await;
}

#[tokio::test]
async fn a_github_app_is_made_and_installed_by_the_browser() {
    let (server, fake) = (TestServer::start().await, FakeGitHub::start().await);
    fake.add_repo("acme/shop");
    let web = Web::owner(&server).await;
    let base_url = fake.base_url().to_string();
    let fields = [("way", "app"), ("base_url", base_url.as_str()), ("organization", "acme"), ("sent", "yes")];
    let leave = web.post("/connect/github", "/connect/github", &fields).await;
    let origin = fake.base_url().origin().ascii_serialization();
    assert!(leave.policy.contains(&format!("form-action 'self' {origin}")), "{}", leave.policy);
    let page = leave.expect(200);
    let manifest = serde_json::from_str(&attribute(&page, "name=\"manifest\" value=\"")).unwrap();
    let create: Url = format!("http{}", attribute(&page, "<form action=\"http")).parse().unwrap();
    let back = fake.submit_manifest(&AppManifest::new(manifest, create)).await.unwrap();
    let install: Url = web.get(back.as_str()).await.redirect().parse().unwrap();
    let state = install.query_pairs().find(|(name, _)| name == "state").unwrap().1.into_owned();
    let parts: Vec<&str> = install.path().split('/').collect();
    let slug = parts[parts.iter().position(|part| *part == "installations").unwrap() - 1];
    let installation = fake.install_app(&fake.find_app(slug).unwrap().app_id, "acme");
    let installed = format!(
        "/v1/integrations/github/app/installed?installation_id={installation}&setup_action=install&state={state}"
    );
    let next = web.get(&installed).await.redirect();
    assert!(next.ends_with("/repositories?step=connect"), "{next}");
    server.stop().await;
}

#[tokio::test]
async fn gitflic_answers_our_server_and_the_browser_waits() {
    let (server, fake) = (TestServer::start().await, FakeGitFlic::start().await);
    let web = Web::owner(&server).await;
    let waiting = web.get("/v1/integrations/gitflic/callback").await.redirect();
    assert_eq!(waiting, "/connect/gitflic/waiting");
    assert!(web.get(&waiting).await.expect(200).contains("hx-trigger=\"every 2s\""));
    let plain = Web::stranger(&server).get("/v1/integrations/gitflic/callback").await.expect(200);
    assert!(plain.contains("Back from GitFlic"), "{plain}");
    drop(fake);
    server.stop().await;
}

/// GitFlic's own dialect, the whole way: its server posts the code to ours, the browser comes back with nothing.
#[tokio::test]
async fn gitflic_is_connected_by_oauth_and_connected_again() {
    let (server, fake) = (TestServer::start().await, FakeGitFlic::start().await);
    fake.add_user("ada");
    fake.add_repo("acme/shop");
    let callback = format!("{}/v1/integrations/gitflic/callback", server.base);
    let app =
        fake.add_oauth_app(&[&callback], &["USER_READ", "PROJECT_READ", "PROJECT_EDIT"], false).oauth_app();
    let secret = app.client_secret.expose_secret().to_owned();
    let base_url = fake.base_url().to_string();
    let web = Web::owner(&server).await;
    let fields = [
        ("way", "oauth"),
        ("base_url", base_url.as_str()),
        ("client_id", &app.client_id),
        ("client_secret", &secret),
        ("sent", "yes"),
    ];
    let begin = async || -> Url {
        let leave = web.post("/connect/gitflic", "/connect/gitflic", &fields).await.expect(200);
        attribute(&leave, "content=\"0; url=").parse().unwrap()
    };
    let waiting = "/connect/gitflic/waiting";
    fake.set_approver(Some("ada"));
    let away = begin().await;
    assert!(web.get(waiting).await.expect(200).contains("every 2s"), "nothing has come yet");
    let back = fake.browse(&away).await.unwrap();
    assert_eq!(back.query(), None, "the browser brings nothing: {back}");
    assert_eq!(web.get(back.as_str()).await.redirect(), waiting);
    let page = web.get(waiting).await.expect(200);
    let next = attribute(&page, "button primary\" href=\"");
    assert!(next.ends_with("/repositories?step=connect") && !page.contains("every 2s"), "{page}");
    assert!(web.get(&next).await.expect(200).contains("GitFlic as ada"));

    // Connected again long after: the page waits for the new answer, and finds it, though nothing is new.
    let database = format!("sqlite://{}", server.folder.path().join("forge-rca.db").display());
    rca_store::testing::execute(&database, "UPDATE integration SET created_at = created_at - 86400000").await;
    rca_store::testing::execute(&database, "UPDATE audit SET at = at - 86400000").await;
    let away = begin().await;
    assert!(
        web.get(waiting).await.expect(200).contains("every 2s"),
        "the answer of yesterday is not this one"
    );
    let back = fake.browse(&away).await.unwrap();
    assert_eq!(web.get(back.as_str()).await.redirect(), waiting);
    assert!(web.get(waiting).await.expect(200).contains(&next), "it is the same integration");
    assert_eq!(server.get("/v1/integrations").await.expect(200)["items"].as_array().unwrap().len(), 1);

    rca_store::testing::execute(&database, "UPDATE audit SET at = at - 86400000").await;
    // Refused at the forge: the page says that it goes on waiting, and how else it works.
    fake.set_approver(None);
    assert!(fake.browse(&begin().await).await.is_err());
    assert!(web.get(waiting).await.expect(200).contains("/connect/gitflic?way=token"));
    server.stop().await;
}

#[tokio::test]
async fn a_hook_without_a_token_waits_for_its_first_delivery() {
    let (server, fake) = (TestServer::start().await, FakeBitbucketDc::start().await);
    let web = Web::owner(&server).await;
    let base_url = fake.base_url().to_string();
    let fields = [
        ("way", "webhook"),
        ("base_url", base_url.as_str()),
        ("project_key", "SHOP"),
        ("repository", "till"),
    ];
    let page = web.post("/connect/bitbucket-dc", "/connect/bitbucket-dc", &fields).await.expect(200);
    assert!(page.contains("/v1/webhooks/bitbucket-dc/") && page.contains("id=\"hook-secret\""), "{page}");
    let wait = attribute(&page, "button primary\" href=\"");
    let page = web.get(&wait).await.expect(200);
    assert!(page.contains("Waiting for the first delivery") && page.contains("every 3s"), "{page}");
    assert!(!page.contains("hook-secret"), "a secret is shown once");
    let rotated = web.post(&wait, &format!("{wait}/secret"), &[]).await.expect(200);
    assert!(rotated.contains("id=\"hook-secret\"") && rotated.contains("works until"), "{rotated}");
    server.stop().await;
}

#[tokio::test]
async fn many_repositories_are_chosen_in_the_background_and_ended_with_a_list() {
    let (server, fake) = (TestServer::start().await, FakeGitLab::start().await);
    for number in 0..60 {
        fake.add_repo(&format!("acme/shop-{number:02}"));
    }
    let other = fake.add_repo("acme/till");
    let (integration, token) = connect(&server, &fake).await;
    let till = server.discovered(&integration, &other).await;
    let web = Web::owner(&server).await;
    let path = format!("/integrations/{integration}/repositories");
    let found = web.get(&format!("{path}?search=SHOP")).await.expect(200);
    assert!(found.contains("60 matches") && !found.contains("acme/till"), "{found}");
    let operation = web.post(&path, &path, &[("search", "shop"), ("matching", "monitor")]).await.redirect();
    assert!(operation.starts_with("/operations/"), "{operation}");
    let page = eventually("all are monitored", async || {
        let page = web.get(&operation).await.expect(200);
        page.contains("60 repositories, without a problem").then_some(page)
    })
    .await;
    assert!(!page.contains("hx-trigger"), "a page that has ended does not ask again: {page}");
    let card = web.get("/integrations").await.expect(200);
    assert!(card.contains("60 of 61 repositories"), "{card}");
    let one = web.get(&format!("{path}/{till}")).await.expect(200);
    assert!(one.contains("no hook"), "{one}");

    let ask = web.get(&format!("/integrations/{integration}/disconnect")).await.expect(200);
    assert!(ask.contains("60 hooks are removed at the forge") && ask.contains("and 40 more"), "{ask}");
    fake.revoke_token(&token);
    let ended = web
        .post(
            &format!("/integrations/{integration}"),
            &format!("/integrations/{integration}/disconnect"),
            &[],
        )
        .await
        .expect(200);
    assert!(ended.contains("60 hooks could not be removed") && ended.contains("acme/shop-59"), "{ended}");
    web.get(&format!("/integrations/{integration}")).await.expect(404);
    server.stop().await;
}

#[tokio::test]
async fn settings_of_an_integration_and_what_the_workspace_blocks() {
    let (server, fake) = (TestServer::start().await, FakeGitLab::start().await);
    let repo = fake.add_repo("acme/shop");
    let integration = server.connect(&fake).await;
    server.monitor(&integration, &repo).await;
    server.put("/v1/settings", json!({ "feedback": { "pr_comment": false } })).await.expect(200);
    let web = Web::owner(&server).await;
    let path = format!("/integrations/{integration}");
    assert!(web.get(&path).await.expect(200).contains("blocked by workspace"));
    let change = async |fields: &[(&str, &str)]| {
        assert_eq!(web.post(&path, &path, fields).await.redirect(), format!("{path}?said=saved"));
        server.get(&format!("/v1{path}")).await.expect(200)
    };
    let now =
        change(&[("part", "feedback"), ("issue", "on"), ("commit_comment", "off"), ("status", "")]).await;
    assert_eq!(
        now["feedback"],
        json!({ "pr_comment": false, "commit_comment": false, "issue": true, "status": false })
    );
    // Back to what the workspace has, which is said beside it; by the API null does the same.
    let page = web.get(&path).await.expect(200);
    assert!(page.contains("as the workspace (off)") && page.contains("as the workspace (on)"), "{page}");
    assert!(page.contains("<option value=\"on\" selected>"), "its own wish is chosen: {page}");
    let now = change(&[("part", "feedback"), ("issue", ""), ("commit_comment", "off")]).await;
    assert_eq!(
        (&now["feedback"]["issue"], &now["feedback"]["commit_comment"]),
        (&json!(false), &json!(false))
    );
    let now =
        server.patch(&format!("/v1{path}"), json!({"feedback": {"commit_comment": null}})).await.expect(200);
    assert_eq!(now["feedback"]["commit_comment"], true, "as usual again");
    let now = server.put("/v1/settings", json!({"feedback": {"pr_comment": null}})).await.expect(200);
    assert_eq!(now["feedback"], json!({}), "the workspace blocks nothing any more");
    assert_eq!(server.get(&format!("/v1{path}")).await.expect(200)["feedback"]["pr_comment"], true);
    assert!(!web.get(&path).await.expect(200).contains("blocked by workspace"));
    assert_eq!(change(&[("part", "mode"), ("mode", "polling")]).await["mode"], "polling");
    let now = change(&[("part", "backfill"), ("backfill", "on"), ("runs", "7")]).await;
    assert_eq!(now["backfill"], json!({ "enabled": true, "runs": 7 }));
    assert_eq!(change(&[("part", "enabled")]).await["enabled"], false);
    assert_eq!(change(&[("part", "enabled"), ("enabled", "on")]).await["enabled"], true);
    let now = change(&[("part", "perimeter"), ("perimeter", "projects"), ("projects", "acme\nother")]).await;
    assert_eq!(now["perimeter"]["projects"], json!(["acme", "other"]));
    web.post(&path, &path, &[("part", "perimeter"), ("perimeter", "projects")]).await.expect(422);
    web.post(&path, &path, &[("part", "nothing")]).await.expect(422);
    assert!(web.post(&path, &format!("{path}/backfill"), &[]).await.redirect().starts_with("/operations/"));
    assert!(web.post(&path, &format!("{path}/sync"), &[]).await.redirect().starts_with("/operations/sync-"));
    assert!(web.post(&path, &format!("{path}/check"), &[]).await.redirect().ends_with("said=checked"));
    let refused = web.post(&path, &format!("{path}/token"), &[("token", "glpat-wrong")]).await.expect(422);
    assert!(refused.contains("The forge does not accept this token"), "{refused}");
    server.stop().await;
}

#[tokio::test]
async fn who_may_not_is_refused_and_sees_no_buttons() {
    let (server, fake) = (TestServer::start().await, FakeGitLab::start().await);
    fake.add_repo("acme/shop");
    let integration = server.connect(&fake).await;
    let made = server.post("/v1/tokens", json!({ "name": "reader", "scopes": ["read"] })).await.expect(201);
    let reader = Web::signed_in(&server, made["token"].as_str().unwrap()).await;
    reader.get("/connect").await.expect(403);
    reader.get("/connect/gitlab").await.expect(403);
    let page = reader.get(&format!("/integrations/{integration}")).await.expect(200);
    assert!(
        !page.contains("/disconnect") && !page.contains("/token\"") && !page.contains("/sync\""),
        "{page}"
    );
    for path in ["", "/sync", "/check", "/backfill", "/token", "/disconnect", "/repositories"] {
        let address = format!("/integrations/{integration}{path}");
        reader.post("/integrations", &address, &[("part", "enabled"), ("token", "t")]).await.expect(403);
        let owner = Web::owner(&server).await;
        owner.post_as_is(&address, &[("part", "enabled"), ("csrf", "0")]).await.expect(403);
    }
    assert_eq!(server.get(&format!("/v1/integrations/{integration}")).await.expect(200)["enabled"], true);
    for path in ["/integrations", "/deliveries", "/incidents", "/connect"] {
        let stranger = Web::stranger(&server).get(path).await.redirect();
        assert!(stranger.starts_with("/sign-in?next="), "{stranger}");
    }
    server.stop().await;
}

#[tokio::test]
async fn deliveries_say_why_and_incidents_what_to_do() {
    let (server, fake) = (TestServer::start().await, FakeGitLab::start().await);
    let repo = fake.add_repo("acme/shop");
    let (integration, token) = connect(&server, &fake).await;
    let web = Web::owner(&server).await;
    assert!(web.get("/deliveries").await.expect(200).contains("No deliveries yet"));
    assert!(web.get("/incidents").await.expect(200).contains("Nothing needs attention"));
    server.monitor(&integration, &repo).await;
    let hostile = "feature/<img src=x onerror=alert(1)>";
    let pull = fake.open_pull(&repo, &PullSpec::new("Refunds", hostile));
    let run = fake
        .add_run(&repo, &RunSpec::new(vec![JobSpec::failed("<b>test</b>", pytest_log())]).for_pull(&pull));
    fake.deliver(&run).await;
    server.analyses("repository=acme/shop", 1).await;
    server.idle().await;
    let list = web
        .get(&format!("/deliveries?integration={integration}&repository=acme/shop&status=done"))
        .await
        .expect(200);
    let address = attribute(&list, "<td><a href=\"");
    let page = web.get(&address).await.expect(200);
    assert!(page.contains("href=\"/analyses/") && page.contains("Run it again"), "{page}");
    assert!(!page.contains("<img src=x") && !page.contains("<b>test</b>"), "names are inert: {page}");
    assert!(
        page.contains("&#60;img src=x") || page.contains("&lt;img src=x"),
        "the payload is shown: {page}"
    );
    assert_eq!(
        web.post(&address, &format!("{address}/replay"), &[]).await.redirect(),
        format!("{address}?said=replayed")
    );
    server.idle().await;
    web.get("/deliveries?status=unknown").await.expect(422);
    web.get("/deliveries/none").await.expect(404);

    fake.revoke_token(&token);
    let path = format!("/integrations/{integration}");
    web.post(&path, &format!("{path}/check"), &[]).await.redirect();
    let incidents = web.get("/incidents").await.expect(200);
    assert!(incidents.contains("The forge rejects our credential"), "{incidents}");
    assert!(
        incidents.contains(&format!("href=\"{path}#token\"")) && incidents.contains("1 incident"),
        "{incidents}"
    );
    let card = web.get("/integrations").await.expect(200);
    assert!(card.contains("badge red") && card.contains("Replace the token"), "{card}");
    server.stop().await;
}
