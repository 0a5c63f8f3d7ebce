//! Comments, issues, statuses.

use forge_core::{
    ErrorKind, Feedback, ForgeClient,
    model::{Comment, CommitStatus, Issue, PostAction, StatusState, Target},
};

use super::{Harness, assert_no_unknown_request, mutations, requests, shop};
use crate::{PullSpec, RepoHandle};

const MARKER: &str = "<!-- forge-rca:conformance:1 -->";
const SHA: &str = "0123456789abcdef0123456789abcdef01234567";

fn comment(text: &str) -> Comment {
    Comment { marker: MARKER.to_owned(), body: format!("{MARKER}\n{text}\n") }
}

fn facet<H: Harness>(harness: &H, client: &dyn ForgeClient) -> bool {
    let it = harness.provider().capabilities();
    let claimed = it.pull_comment || it.commit_comment || it.issue || it.status;
    assert_eq!(client.feedback().is_some(), claimed, "facet and capability differ");
    claimed
}

fn post(client: &dyn ForgeClient) -> &dyn Feedback {
    client.feedback().expect("claimed")
}

/// Create, say the same, say something else; with and without a remembered id.
async fn lives<H: Harness>(harness: &H, repo: &RepoHandle, target: &Target) {
    let client = harness.client();
    let (fake, reference) = (harness.fake(), repo.repo_ref());
    let feedback = post(client.as_ref());
    let first = feedback.upsert_comment(&reference, target, &comment("one"), None).await.expect("a comment");
    assert_eq!(first.action, PostAction::Created);
    for known in [Some(first.id.as_str()), None] {
        let before = mutations(fake);
        let same = feedback.upsert_comment(&reference, target, &comment("one"), known).await.expect("again");
        assert_eq!((same.action, &same.id), (PostAction::Unchanged, &first.id), "known {known:?}");
        assert_eq!(mutations(fake), before, "the same was said twice");
    }
    if !harness.provider().capabilities().edit_comment {
        return;
    }
    for (text, known) in [("two", Some(first.id.as_str())), ("three", None)] {
        let next = feedback.upsert_comment(&reference, target, &comment(text), known).await.expect("an edit");
        assert_eq!((next.action, &next.id), (PostAction::Updated, &first.id), "{text}");
    }
    let comments = fake.comments(repo, target);
    let [only] = comments.as_slice() else { panic!("one comment, not {}", comments.len()) };
    assert_eq!(only.body.trim(), comment("three").body.trim());
    assert_eq!(only.history.len(), 2);
    assert_eq!(only.author, "rca-bot");
    assert_no_unknown_request(fake);
}

/// The living comment on a pull request.
pub async fn pull_comment_lives<H: Harness>() {
    let harness = H::start().await;
    let client = harness.client();
    if !facet(&harness, client.as_ref()) {
        return;
    }
    let repo = shop(harness.fake());
    let pull = harness.fake().open_pull(&repo, &PullSpec::new("Fix it", "fix"));
    let target = Target::Pull(pull.number.to_string());
    if !harness.provider().capabilities().pull_comment {
        let posted =
            post(client.as_ref()).upsert_comment(&repo.repo_ref(), &target, &comment("x"), None).await;
        assert_eq!(posted.expect_err("it is not claimed").kind(), ErrorKind::Unsupported);
        assert_eq!(requests(harness.fake()), 0);
        return;
    }
    lives(&harness, &repo, &target).await;
}

/// Ours is found among 250 others, wherever it stands.
pub async fn pull_comment_is_found_among_many<H: Harness>() {
    let harness = H::start().await;
    let client = harness.client();
    if !facet(&harness, client.as_ref()) || !harness.provider().capabilities().pull_comment {
        return;
    }
    let repo = shop(harness.fake());
    let pull = harness.fake().open_pull(&repo, &PullSpec::new("Fix it", "fix"));
    let target = Target::Pull(pull.number.to_string());
    let mut ours = 0;
    for number in 0..250 {
        let (login, body) = if number == 120 {
            ("rca-bot", comment("old").body)
        } else {
            ("robin", format!("talk {number}"))
        };
        let id = harness.fake().add_comment(&repo, &target, login, &body);
        if number == 120 {
            ours = id;
        }
    }
    let posted = post(client.as_ref()).upsert_comment(&repo.repo_ref(), &target, &comment("new"), None).await;
    let posted = posted.expect("it is found");
    let expected = if harness.provider().capabilities().edit_comment {
        PostAction::Updated
    } else {
        PostAction::Created
    };
    assert_eq!(posted.action, expected);
    let with_marker =
        harness.fake().comments(&repo, &target).into_iter().filter(|it| it.body.contains(MARKER));
    if expected == PostAction::Updated {
        assert_eq!(with_marker.map(|it| it.id).collect::<Vec<_>>(), [ours]);
    }
}

/// A comment that somebody deleted is posted anew, although its id is remembered.
pub async fn pull_comment_is_posted_anew_after_deletion<H: Harness>() {
    let harness = H::start().await;
    let client = harness.client();
    if !facet(&harness, client.as_ref()) || !harness.provider().capabilities().pull_comment {
        return;
    }
    let repo = shop(harness.fake());
    let pull = harness.fake().open_pull(&repo, &PullSpec::new("Fix it", "fix"));
    let target = Target::Pull(pull.number.to_string());
    let feedback = post(client.as_ref());
    let first =
        feedback.upsert_comment(&repo.repo_ref(), &target, &comment("one"), None).await.expect("a comment");
    for known in harness.fake().comments(&repo, &target) {
        harness.fake().delete_comment(known.id);
    }
    let again = feedback.upsert_comment(&repo.repo_ref(), &target, &comment("one"), Some(&first.id)).await;
    assert_eq!(again.expect("a new comment").action, PostAction::Created);
    assert_eq!(harness.fake().comments(&repo, &target).len(), 1);
}

/// The living comment on a commit.
pub async fn commit_comment_lives<H: Harness>() {
    let harness = H::start().await;
    let client = harness.client();
    if !facet(&harness, client.as_ref()) {
        return;
    }
    let repo = shop(harness.fake());
    let target = Target::Commit(SHA.to_owned());
    if !harness.provider().capabilities().commit_comment {
        let posted =
            post(client.as_ref()).upsert_comment(&repo.repo_ref(), &target, &comment("x"), None).await;
        assert_eq!(posted.expect_err("it is not claimed").kind(), ErrorKind::Unsupported);
        assert_eq!(requests(harness.fake()), 0);
        return;
    }
    lives(&harness, &repo, &target).await;
}

/// Somebody else's comment that carries our marker is neither edited nor taken for ours.
pub async fn foreign_comment_with_our_marker_is_left_alone<H: Harness>() {
    let harness = H::start().await;
    let client = harness.client();
    if !facet(&harness, client.as_ref()) || !harness.provider().capabilities().pull_comment {
        return;
    }
    let repo = shop(harness.fake());
    let pull = harness.fake().open_pull(&repo, &PullSpec::new("Fix it", "fix"));
    let target = Target::Pull(pull.number.to_string());
    let forged = comment("trust me").body;
    let id = harness.fake().add_comment(&repo, &target, "mallory", &forged);
    let posted = post(client.as_ref()).upsert_comment(&repo.repo_ref(), &target, &comment("one"), None).await;
    let posted = posted.expect("a comment of our own");
    assert_eq!(posted.action, PostAction::Created);
    let comments = harness.fake().comments(&repo, &target);
    let theirs = comments.iter().find(|comment| comment.id == id).expect("it is still there");
    assert_eq!((theirs.body.as_str(), theirs.history.len(), comments.len()), (forged.as_str(), 0, 2));
}

/// An issue is opened, edited and closed; a closed one is not edited but opened anew.
pub async fn issue_lives<H: Harness>() {
    let harness = H::start().await;
    let client = harness.client();
    if !facet(&harness, client.as_ref()) {
        return;
    }
    let repo = shop(harness.fake());
    let reference = repo.repo_ref();
    let feedback = post(client.as_ref());
    let issue = |text: &str| Issue {
        marker: MARKER.to_owned(),
        title: "main is red".to_owned(),
        body: format!("{MARKER}\n{text}\n"),
        labels: vec!["ci-failure".to_owned()],
    };
    let first = feedback.upsert_issue(&reference, &issue("one"), None).await;
    if !harness.provider().capabilities().issue {
        assert_eq!(first.expect_err("it is not claimed").kind(), ErrorKind::Unsupported);
        assert_eq!(requests(harness.fake()), 0);
        return;
    }
    let first = first.expect("an issue");
    assert_eq!(first.action, PostAction::Created);
    for (text, known) in [("two", Some(first.id.as_str())), ("three", None)] {
        let next = feedback.upsert_issue(&reference, &issue(text), known).await.expect("an edit");
        assert_eq!((next.action, &next.id), (PostAction::Updated, &first.id), "{text}");
    }
    let before = mutations(harness.fake());
    let same = feedback.upsert_issue(&reference, &issue("three"), Some(&first.id)).await.expect("the same");
    assert_eq!((same.action, mutations(harness.fake())), (PostAction::Unchanged, before));
    feedback.close_issue(&reference, &first.id, None).await.expect("it closes");
    let issues = harness.fake().issues();
    let [only] = issues.as_slice() else { panic!("one issue, not {}", issues.len()) };
    assert!(!only.is_open && only.title == "main is red");
    assert!(only.labels == ["ci-failure"] || !harness.fake().labels_issues());
    // Who knows the closed one opens it again and does not open a second.
    let again =
        feedback.upsert_issue(&reference, &issue("three"), Some(&first.id)).await.expect("the same issue");
    assert_eq!((again.action, &again.id), (PostAction::Updated, &first.id));
    let open = harness.fake().issues();
    assert!(matches!(open.as_slice(), [only] if only.is_open), "{open:?}");
    let last = issue("done").body;
    for _ in 0..2 {
        feedback
            .close_issue(&reference, &first.id, Some(&last))
            .await
            .expect("it closes, also when it is closed");
    }
    let closed = harness.fake().issues();
    assert!(matches!(closed.as_slice(), [only] if !only.is_open && only.body == last), "{closed:?}");
    let next = feedback.upsert_issue(&reference, &issue("four"), None).await.expect("a new issue");
    assert_eq!(next.action, PostAction::Created);
    assert_no_unknown_request(harness.fake());
}

fn status(state: StatusState, description: &str) -> CommitStatus {
    CommitStatus {
        state,
        context: "forge-rca".to_owned(),
        description: description.to_owned(),
        target_url: Some("https://rca.example/analyses/1".to_owned()),
    }
}

/// A status in each state.
pub async fn status_is_set<H: Harness>() {
    let harness = H::start().await;
    let client = harness.client();
    if !facet(&harness, client.as_ref()) {
        return;
    }
    let repo = shop(harness.fake());
    let all = [StatusState::Pending, StatusState::Success, StatusState::Failure, StatusState::Error];
    for state in all {
        // Forges with fewer states show two of ours as one: the text tells them apart.
        let status = status(state, &format!("cause found: {state:?}"));
        let set = post(client.as_ref()).set_status(&repo.repo_ref(), SHA, &status).await;
        if !harness.provider().capabilities().status {
            assert_eq!(set.expect_err("it is not claimed").kind(), ErrorKind::Unsupported);
            assert_eq!(requests(harness.fake()), 0);
            return;
        }
        set.expect("a status");
    }
    let statuses = harness.fake().statuses();
    assert_eq!(statuses.len(), all.len());
    assert!(statuses.iter().all(|it| it.context == "forge-rca" && it.sha == SHA));
    assert!(statuses.iter().all(|it| it.target_url.as_deref() == Some("https://rca.example/analyses/1")));
    assert_no_unknown_request(harness.fake());
}

/// A description beyond the forge's limit is cut, not refused.
pub async fn long_status_is_cut<H: Harness>() {
    let harness = H::start().await;
    let client = harness.client();
    if !facet(&harness, client.as_ref()) || !harness.provider().capabilities().status {
        return;
    }
    let repo = shop(harness.fake());
    let long = status(StatusState::Failure, &"äöü ".repeat(500));
    post(client.as_ref()).set_status(&repo.repo_ref(), SHA, &long).await.expect("a cut status");
    assert_eq!(harness.fake().statuses().len(), 1);
}
