//! A member gets the sign-in link by mail, and comes in with it.

use super::sink::smtp;
use crate::{
    support::{OWNER, TestServer},
    web_sign_in::Visitor,
};

/// The text of a mail in quoted-printable (RFC 2045, section 6.7), as far as ASCII goes.
fn plain(mail: &str) -> String {
    mail.replace("=\n", "").replace("=3D", "=")
}

#[tokio::test]
async fn a_sign_in_link_comes_by_mail_and_works_once() {
    let (smtp, mails) = smtp().await;
    let server = TestServer::start_with(|config| {
        config.smtp_url = Some(smtp.into());
        config.smtp_from = Some("rca@example.com".to_owned());
    })
    .await;
    let owner = Visitor::signed_in(&server, OWNER).await;
    let member = [("email", "ann@example.com"), ("role", "member")];
    owner.post("/members", &member).await.leads_to("/members?said=member_added");
    let list = server.get("/v1/members").await.expect(200);
    let id = list["items"][0]["id"].as_str().unwrap().to_owned();
    let page = owner.post(&format!("/members/{id}/sign-in-link"), &[]).await.expect(200);
    assert!(page.contains("It was mailed too."), "{page}");

    let taken = mails.lock().unwrap().clone();
    assert_eq!(taken.len(), 1, "{taken:?}");
    let mail = plain(&taken[0]);
    assert!(mail.contains("To: ann@example.com") && mail.contains("Sign in to Forge RCA"), "{mail}");
    let begin = format!("{}/sign-in/link/", server.base);
    let link = mail.split(&begin).nth(1).unwrap_or_else(|| panic!("no {begin} in {mail}"));
    let link: String = link.chars().take_while(char::is_ascii_alphanumeric).collect();
    let link = format!("{begin}{link}");
    assert!(page.contains(&link), "the page shows the same link: {page}");
    let ann = Visitor::with_link(&server, &link).await;
    assert!(ann.get("/").await.expect(200).contains("ann@example.com"));
    ann.get("/members").await.expect(403);
    let again = owner.get(&link).await;
    assert!(again.expect(401).contains("has been used"), "it works once");
    server.stop().await;
}

/// A mail server that is down keeps nobody out: the link is on the page, which says so.
#[tokio::test]
async fn a_link_that_cannot_be_mailed_is_passed_on_by_hand() {
    let gone = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = gone.local_addr().unwrap();
    drop(gone);
    let server = TestServer::start_with(|config| {
        config.smtp_url = Some(format!("smtp://{address}").into());
        config.smtp_from = Some("rca@example.com".to_owned());
    })
    .await;
    let owner = Visitor::signed_in(&server, OWNER).await;
    owner
        .post("/members", &[("email", "bob@example.com"), ("role", "viewer")])
        .await
        .leads_to("/members?said=member_added");
    let list = server.get("/v1/members").await.expect(200);
    let id = list["items"][0]["id"].as_str().unwrap().to_owned();
    let page = owner.post(&format!("/members/{id}/sign-in-link"), &[]).await.expect(200);
    assert!(page.contains("It could not be mailed") && page.contains("/sign-in/link/"), "{page}");
    server.stop().await;
}
