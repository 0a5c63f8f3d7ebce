//! What we say at a forge comes back as deliveries: they make no work, whoever's hook they come by.

use std::time::Duration;

use forge_core::model::Target;
use forge_testkit::{
    Fake, FakeBitbucketCloud, FakeBitbucketDc, FakeComment, FakeGitFlic, FakeGitHub, FakeGitLab, HookSetup,
    JobSpec, Message, PullSpec, RepoHandle, RunSpec,
};
use secrecy::ExposeSecret as _;
use serde_json::{Value, json};

use crate::{
    five_forges::server_with_jenkins,
    support::{TestServer, eventually, pytest_log},
    webhook_to_comment::live_comments,
};

const SHA: &str = "4be1f20000000000000000000000000000000001";
const HOOK_SECRET: &str = "what the deliveries of the app are signed with";

/// A pull request of ours, told of.
struct Told {
    repo: RepoHandle,
    /// The number of the pull request.
    pull: u64,
    comment: FakeComment,
    /// A genuine payload, to take the repository and the people from.
    sample: Value,
}

async fn told(fake: &Fake, server: &TestServer) -> Told {
    let repo = fake.add_repo("acme/shop");
    let integration = server.connect(fake).await;
    let all = json!({ "pr_comment": true, "commit_comment": true, "issue": true, "status": true });
    server.patch(&format!("/v1/integrations/{integration}"), json!({ "feedback": all })).await.expect(200);
    server.monitor(&integration, &repo).await;
    let pull = fake.open_pull(&repo, &PullSpec::new("Refunds", "feature/refund").with_sha(SHA));
    let run = fake.add_run(&repo, &RunSpec::new(vec![JobSpec::failed("test", pytest_log())]).for_pull(&pull));
    for outcome in fake.deliver(&run).await {
        assert!(outcome.is_success(), "{outcome:?}");
    }
    let comment = live_comments(fake, &repo, &Target::Pull(pull.number.to_string()), 1).await.remove(0);
    let sample = serde_json::from_slice(&fake.payload(&run).unwrap().body).unwrap();
    Told { repo, pull: pull.number, comment, sample }
}

/// The status that we set, once it is there.
async fn own_status(fake: &Fake) -> (String, String) {
    eventually("our status is set", async || {
        let all = fake.statuses();
        let own = all.iter().find(|status| status.context.contains("forge-rca"))?;
        Some((own.context.clone(), own.description.clone().unwrap_or_default()))
    })
    .await
}

fn message(event: &str, body: &Value) -> Message {
    // No subscription: also to hooks that did not ask for it.
    Message::new(event, "", body.to_string())
}

async fn deliveries(server: &TestServer) -> Vec<Value> {
    let list = server.get("/v1/deliveries?limit=500").await.expect(200);
    list["items"].as_array().unwrap().clone()
}

/// Everything that counts as work or as something said.
async fn state(fake: &Fake, server: &TestServer) -> Value {
    let analyses = server.get("/v1/analyses?limit=500").await.expect(200);
    let comments: Vec<Value> = fake
        .all_comments()
        .iter()
        .map(|comment| json!([comment.id, comment.body, comment.history.len()]))
        .collect();
    json!({
        "analyses": analyses["items"],
        "comments": comments,
        "issues": fake.issues().len(),
        "statuses": fake.statuses().len(),
    })
}

/// Sends them all; each is taken, ends at once as ignored, and changes nothing.
async fn make_no_work(fake: &Fake, server: &TestServer, repo: &RepoHandle, echoes: &[Message]) {
    let (before, known) = (state(fake, server).await, deliveries(server).await.len());
    for echo in echoes {
        let outcomes = fake.deliver_message(repo, echo).await;
        assert!(!outcomes.is_empty(), "somebody listens");
        assert!(
            outcomes.iter().all(forge_testkit::DeliveryOutcome::is_success),
            "{}: {outcomes:?}",
            echo.event
        );
    }
    nothing_came_of(fake, server, &before, known, echoes.len()).await;
}

async fn nothing_came_of(fake: &Fake, server: &TestServer, before: &Value, known: usize, count: usize) {
    let all = deliveries(server).await;
    assert_eq!(all.len(), known + count, "each left its row");
    for delivery in &all[..count] {
        assert_eq!(delivery["status"], "ignored", "{delivery:#}");
        assert!(delivery["reason"].is_string(), "{delivery:#}");
        assert_eq!(delivery["analyses"], json!([]), "{delivery:#}");
    }
    if fake.tells_runs() {
        server.idle().await;
    }
    assert_eq!(&state(fake, server).await, before);
}

#[tokio::test]
async fn gitlab() {
    let fake = FakeGitLab::start().await;
    let server = TestServer::start().await;
    let told = told(&fake, &server).await;
    let (context, description) = own_status(&fake).await;
    server.idle().await;
    let (sample, body) = (&told.sample, &told.comment.body);
    let note = |kind: &str, action: &str, more: Value| {
        let mut note = json!({
            "object_kind": "note",
            "event_type": "note",
            "user": sample["user"],
            "project_id": sample["project"]["id"],
            "project": sample["project"],
            "object_attributes": {
                "id": told.comment.id, "note": body, "noteable_type": kind, "action": action, "system": false,
                "project_id": sample["project"]["id"],
            },
        });
        for (name, value) in more.as_object().unwrap() {
            note[name] = value.clone();
        }
        message("Note Hook", &note)
    };
    let request = sample["merge_request"].clone();
    let issue = json!({
        "object_kind": "issue",
        "user": sample["user"],
        "project": sample["project"],
        "object_attributes": {
            "id": 41, "iid": 3, "title": "CI fails on acme/shop", "description": body, "state": "opened", "action": "open",
        },
        "labels": [{ "title": "ci-failure" }],
    });
    // Where a commit has no pipeline, GitLab makes one of the statuses that are set on it.
    let mut external = sample.clone();
    let id = sample["object_attributes"]["id"].as_u64().unwrap() + 100_000;
    external["object_attributes"]["id"] = json!(id);
    external["object_attributes"]["source"] = json!("external");
    external["object_attributes"]["status"] = json!("failed");
    external["builds"] = json!([{
        "id": id + 1, "stage": "external", "name": context, "status": "failed", "allow_failure": false,
        "failure_reason": description,
    }]);
    let echoes = [
        note("MergeRequest", "create", json!({ "merge_request": request })),
        note("MergeRequest", "update", json!({ "merge_request": request })),
        note("Commit", "create", json!({ "commit": sample["commit"] })),
        note("Issue", "create", json!({ "issue": issue["object_attributes"] })),
        message("Issue Hook", &issue),
        message("Pipeline Hook", &external),
    ];
    make_no_work(&fake, &server, &told.repo, &echoes).await;
    server.stop().await;
}

fn github_echoes(told: &Told, status: &str, description: &str) -> Vec<Message> {
    let (sample, body) = (&told.sample, &told.comment.body);
    let with = |event: &str, action: Option<&str>, more: Value| {
        let mut whole = json!({ "repository": sample["repository"], "sender": sample["sender"] });
        if let Some(action) = action {
            whole["action"] = action.into();
        }
        for (name, value) in more.as_object().unwrap() {
            whole[name] = value.clone();
        }
        message(event, &whole)
    };
    let comment = json!({ "id": told.comment.id, "body": body, "user": { "login": told.comment.author } });
    let issue = json!({ "number": told.pull, "title": "Refunds", "state": "open", "pull_request": {} });
    let own_issue = json!({
        "number": 77, "title": "CI fails on acme/shop", "body": body, "state": "open",
        "labels": [{ "name": "ci-failure" }],
    });
    let app = json!({ "id": 7, "slug": "forge-rca", "name": "Forge RCA" });
    let suite = json!({
        "id": 900, "head_sha": SHA, "head_branch": "feature/refund", "status": "completed", "conclusion": "failure",
        "app": app, "pull_requests": [],
    });
    let check = |status: &str, conclusion: Value| {
        json!({ "check_run": {
            "id": 901, "name": "forge-rca", "head_sha": SHA, "external_id": "forge-rca:forge-rca", "status": status,
            "conclusion": conclusion, "app": app, "check_suite": suite, "pull_requests": [],
            "details_url": sample["workflow_run"]["html_url"], "output": { "title": description, "summary": body },
        }})
    };
    let state = |state: &str| {
        json!({
            "id": 902, "sha": SHA, "state": state, "context": status, "description": description, "target_url": null,
            "branches": [{ "name": "feature/refund", "commit": { "sha": SHA } }],
        })
    };
    vec![
        with("issue_comment", Some("created"), json!({ "issue": issue, "comment": comment })),
        with("issue_comment", Some("edited"), json!({ "issue": issue, "comment": comment })),
        with("commit_comment", Some("created"), json!({ "comment": comment })),
        with("issues", Some("opened"), json!({ "issue": own_issue })),
        with("issues", Some("closed"), json!({ "issue": own_issue })),
        with("status", None, state("failure")),
        with("status", None, state("success")),
        with("check_run", Some("created"), check("in_progress", Value::Null)),
        with("check_run", Some("completed"), check("completed", "failure".into())),
        with("check_suite", Some("completed"), json!({ "check_suite": suite })),
    ]
}

#[tokio::test]
async fn github() {
    let fake = FakeGitHub::start().await;
    let server = TestServer::start().await;
    let told = told(&fake, &server).await;
    let (context, description) = own_status(&fake).await;
    server.idle().await;
    let echoes = github_echoes(&told, &context, &description);
    make_no_work(&fake, &server, &told.repo, &echoes).await;
    let reasons: Vec<Value> = deliveries(&server).await.iter().map(|it| it["reason"].clone()).collect();
    assert!(reasons.contains(&json!("our own status")), "{reasons:?}");
    server.stop().await;
}

/// An app hears of everything that it writes, its own check runs first of all.
#[tokio::test]
async fn github_app() {
    let fake = FakeGitHub::start().await;
    let server = TestServer::start().await;
    let repo = fake.add_repo("acme/shop");
    let app = fake.add_app("forge-rca");
    let installation = fake.install_app(&app.app_id, "acme");
    let body = json!({
        "base_url": fake.base_url().as_str(), "app_id": app.app_id, "private_key": app.private_key.expose_secret(),
        "installation_id": installation, "webhook_secret": HOOK_SECRET, "mode": "webhook",
        "backfill": { "enabled": false },
    });
    let integration = server.post("/v1/integrations/github/app", body).await.expect(201);
    server.monitor(integration["id"].as_str().unwrap(), &repo).await;
    let pull = fake.open_pull(&repo, &PullSpec::new("Refunds", "feature/refund").with_sha(SHA));
    let run = fake.add_run(&repo, &RunSpec::new(vec![JobSpec::failed("test", pytest_log())]).for_pull(&pull));
    let signer = fake.add_repo("elsewhere/signer");
    let setup = HookSetup::new(integration["webhook_url"].as_str().unwrap()).with_secret(HOOK_SECRET);
    let hook = fake.add_hook(&signer, &setup);
    let send = async |message: &Message| {
        let outcome = fake.sign(hook, message).unwrap().send(Duration::from_secs(5)).await;
        assert_eq!(outcome.status, Some(202), "{}: {outcome:?}", message.event);
    };
    let own = fake.payload(&run).unwrap();
    send(&own).await;
    let comment = live_comments(&fake, &repo, &Target::Pull(pull.number.to_string()), 1).await.remove(0);
    server.idle().await;
    assert_eq!(fake.check_runs().len(), 1);
    let told = Told { repo, pull: pull.number, comment, sample: serde_json::from_slice(&own.body).unwrap() };
    let echoes = github_echoes(&told, "forge-rca", "1 job failed");
    let (before, known) = (state(&fake, &server).await, deliveries(&server).await.len());
    for echo in &echoes {
        send(echo).await;
    }
    nothing_came_of(&fake, &server, &before, known, echoes.len()).await;
    assert_eq!(fake.check_runs().len(), 1);
    server.stop().await;
}

#[tokio::test]
async fn bitbucket_cloud() {
    let fake = FakeBitbucketCloud::start().await;
    let server = TestServer::start().await;
    let told = told(&fake, &server).await;
    let (key, description) = own_status(&fake).await;
    server.idle().await;
    let (sample, body) = (&told.sample, &told.comment.body);
    let with = |event: &str, more: Value| {
        let mut whole = json!({ "repository": sample["repository"], "actor": sample["actor"] });
        for (name, value) in more.as_object().unwrap() {
            whole[name] = value.clone();
        }
        message(event, &whole)
    };
    let request = json!({
        "id": told.pull, "title": "Refunds", "state": "OPEN",
        "source": { "branch": { "name": "feature/refund" }, "commit": { "hash": &SHA[..12] } },
    });
    let comment = json!({ "id": told.comment.id, "content": { "raw": body } });
    let status = |state: &str, url: String| {
        let mut status = sample["commit_status"].clone();
        for (name, value) in
            [("key", key.as_str()), ("name", "forge-rca"), ("state", state), ("description", &description)]
        {
            status[name] = value.into();
        }
        status["url"] = url.into();
        json!({ "commit_status": status })
    };
    // The address that we give, and one of a pipeline, as anybody could write.
    let ours = || format!("https://bitbucket.org/acme/shop/commits/{SHA}");
    let echoes = [
        with("pullrequest:comment_created", json!({ "pullrequest": request, "comment": comment })),
        with("pullrequest:comment_updated", json!({ "pullrequest": request, "comment": comment })),
        with("repo:commit_comment_created", json!({ "comment": comment, "commit": { "hash": SHA } })),
        with(
            "issue:created",
            json!({ "issue": { "id": 3, "title": "CI fails on acme/shop", "content": { "raw": body } } }),
        ),
        with("repo:commit_status_created", status("FAILED", ours())),
        with("repo:commit_status_updated", status("FAILED", ours())),
        with("repo:commit_status_updated", status("SUCCESSFUL", ours())),
    ];
    make_no_work(&fake, &server, &told.repo, &echoes).await;
    server.stop().await;
}

#[tokio::test]
async fn bitbucket_dc() {
    let fake = FakeBitbucketDc::start().await;
    let server = server_with_jenkins(&fake).await;
    let told = told(&fake, &server).await;
    let (key, description) = own_status(&fake).await;
    let (sample, body) = (&told.sample, &told.comment.body);
    let with = |event: &str, more: Value| {
        let mut whole = json!({ "eventKey": event, "date": sample["date"], "actor": sample["actor"], "repository": sample["repository"] });
        for (name, value) in more.as_object().unwrap() {
            whole[name] = value.clone();
        }
        message(event, &whole)
    };
    let reference = |id: &str| json!({ "id": id, "displayId": id, "latestCommit": SHA, "repository": sample["repository"] });
    let request = json!({
        "id": told.pull, "title": "Refunds", "state": "OPEN", "open": true,
        "fromRef": reference("refs/heads/feature/refund"), "toRef": reference("refs/heads/main"),
    });
    let comment = json!({ "id": told.comment.id, "version": 0, "text": body });
    let status = |state: &str| {
        json!({
            "commit": { "id": SHA },
            "buildStatus": {
                "key": key, "name": "forge-rca", "state": state, "description": description,
                "url": fake.base_url().join(&format!("projects/acme/repos/shop/commits/{SHA}")).unwrap(),
                "ref": "refs/heads/feature/refund",
            },
        })
    };
    let echoes = [
        with("pr:comment:added", json!({ "pullRequest": request, "comment": comment })),
        with(
            "pr:comment:edited",
            json!({ "pullRequest": request, "comment": comment, "previousComment": "x" }),
        ),
        with("repo:comment:added", json!({ "comment": comment, "commit": SHA })),
        with("repo:build_status_updated", status("FAILED")),
        with("repo:build_status_updated", status("SUCCESSFUL")),
    ];
    make_no_work(&fake, &server, &told.repo, &echoes).await;
    server.stop().await;
}

#[tokio::test]
async fn gitflic() {
    let fake = FakeGitFlic::start().await;
    let server = TestServer::start().await;
    let told = told(&fake, &server).await;
    server.idle().await;
    let (sample, body) = (&told.sample, &told.comment.body);
    let with = |action: &str, more: Value| {
        let mut whole =
            json!({ "action": action, "project_id": sample["project_id"], "project": sample["project"] });
        for (name, value) in more.as_object().unwrap() {
            whole[name] = value.clone();
        }
        message(action, &whole)
    };
    let request = json!({ "local_id": told.pull, "title": "Refunds", "source_branch": "feature/refund" });
    let note = json!({ "id": told.comment.id, "message": body });
    let echoes = [
        with("DISCUSSION_CREATE", json!({ "merge_request": request, "discussion": note })),
        with("DISCUSSION_COMMENT_CREATE", json!({ "merge_request": request, "note": note })),
        with(
            "ISSUE_CREATE",
            json!({ "issue": { "local_id": 3, "title": "CI fails on acme/shop", "description": body } }),
        ),
        with(
            "ISSUE_UPDATE",
            json!({ "issue": { "local_id": 3, "title": "CI fails on acme/shop", "description": body } }),
        ),
        with("NEW_ISSUE_NOTE", json!({ "issue": { "local_id": 3 }, "note": note })),
    ];
    make_no_work(&fake, &server, &told.repo, &echoes).await;
    server.stop().await;
}
