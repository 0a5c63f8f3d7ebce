//! Lists in pages.

use forge_core::{ErrorKind, Result};
use forge_http::{Next, Response, next_link, pages};
use futures_util::{StreamExt as _, TryStreamExt as _};
use proptest::prelude::*;

use crate::support::{CANARY, RawServer, Reply, api};

fn parse(response: &Response) -> Result<(Vec<u32>, Option<Next>)> {
    Ok((response.json()?, next_link(response)?.map(Next::Url)))
}

fn page(items: &str, link: &str) -> Reply {
    Reply::new("200 OK", &[("link", link)], items)
}

#[tokio::test]
async fn pages_are_read_in_turn_and_only_when_wanted() {
    let server = RawServer::start(vec![
        page("[1,2]", r#"</list?page=2>; rel="next", </list?page=3>; rel="last""#),
        page("[]", r#"</list?page=3>; rel=next"#),
        Reply::json("[3]"),
    ])
    .await;
    let api = api(&server.url());
    let mut list = pages(api.get("/list").operation("list things"), api, parse);
    assert!(server.heard().is_empty());
    assert_eq!(list.next().await.unwrap().unwrap(), 1);
    assert_eq!(list.next().await.unwrap().unwrap(), 2);
    assert_eq!(server.heard().len(), 1);
    assert_eq!(list.next().await.unwrap().unwrap(), 3);
    assert!(list.next().await.is_none());
    assert_eq!(server.heard().len(), 3);
}

#[tokio::test]
async fn later_pages_are_asked_for_like_the_first() {
    let server =
        RawServer::start(vec![page("[1]", r#"</list?page=2>; rel="next""#), Reply::json("[2")]).await;
    let api = api(&server.url());
    let first = api
        .get("/list")
        .operation("list things")
        .header(http::HeaderName::from_static("x-mine"), http::HeaderValue::from_static("yes"));
    let error = pages(first, api, parse).try_collect::<Vec<_>>().await.unwrap_err();
    assert_eq!(error.operation(), Some("list things"));
    assert!(server.heard()[1].contains("x-mine: yes"));
}

#[tokio::test]
async fn a_page_that_was_read_already_ends_the_list() {
    let server = RawServer::start(vec![
        page("[1]", r#"</list?page=2>; rel="next""#),
        page("[2]", r#"</list?page=3>; rel="next""#),
        page("[3]", r#"</list?page=2>; rel="next""#),
    ])
    .await;
    let api = api(&server.url());
    let mut list = pages(api.get("/list"), api, parse);
    for expected in 1..=3 {
        assert_eq!(list.next().await.unwrap().unwrap(), expected);
    }
    assert_eq!(list.next().await.unwrap().unwrap_err().kind(), ErrorKind::UnexpectedResponse);
    assert!(list.next().await.is_none());
    assert_eq!(server.heard().len(), 3);
}

#[tokio::test]
async fn a_next_page_elsewhere_gets_nothing() {
    let away = RawServer::start(vec![Reply::json("[2]")]).await;
    let link = format!(r#"<{}/list?page=2>; rel="next""#, away.url());
    let server = RawServer::start(vec![page("[1]", &link)]).await;
    let api = api(&server.url());
    let error = pages(api.get("/list"), api, parse).try_collect::<Vec<_>>().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::AddressRefused);
    assert!(away.heard().is_empty());
    assert!(server.heard()[0].contains(CANARY));
}

#[tokio::test]
async fn the_next_page_may_be_a_request_with_another_body() {
    let server = RawServer::start_with(|turn, _| Reply::json(&format!("[{turn}]"))).await;
    let api = api(&server.url());
    let again = api.clone();
    let first = api.post("/graphql").json(&serde_json::json!({"after": null})).repeatable();
    let list = pages(first, api, move |response| {
        let items: Vec<u32> = response.json()?;
        let next = (items[0] < 2).then(|| {
            Next::Request(again.post("/graphql").json(&serde_json::json!({"after": items[0]})).repeatable())
        });
        Ok((items, next))
    });
    assert_eq!(list.try_collect::<Vec<_>>().await.unwrap(), [0, 1, 2]);
}

#[tokio::test]
async fn links_are_read_as_the_standard_has_them() {
    let cases = [
        (r#"</n>; rel="next""#, Some("/n")),
        (r#"</p>; rel=prev, </n>; rel=next"#, Some("/n")),
        (r#"</n>;rel="last next";title="a, b; c""#, Some("/n")),
        (r#"</a,b;c>; REL="NEXT""#, Some("/a,b;c")),
        (r#"</n>; title="rel=next""#, None),
        (r#"</n>; rel="prev"; rel="next""#, None),
        (r#"</n>; rel="nextish""#, None),
        (r#"</p>; rel="prev",  , </n>; rel="next""#, Some("/n")),
        (r#"</n>; rel="next"; crossorigin"#, Some("/n")),
        ("", None),
    ];
    for (link, expected) in cases {
        let server = RawServer::start(vec![page("[]", link)]).await;
        let response = api(&server.url()).get("/list").send().await.unwrap();
        let found = next_link(&response).unwrap().map(|url| url.path().to_owned());
        assert_eq!(found.as_deref(), expected, "{link}");
    }
    for link in ["/n; rel=next", "<", r#"</n>; rel="next"#, "</n> rel=next", "<http://[bad>; rel=next"] {
        let server = RawServer::start(vec![page("[]", link)]).await;
        let response = api(&server.url()).get("/list").send().await.unwrap();
        assert_eq!(next_link(&response).unwrap_err().kind(), ErrorKind::UnexpectedResponse, "{link}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn no_link_header_makes_it_panic(link in "[<>;,=\" a-z/]{0,60}") {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let server = RawServer::start(vec![page("[]", &link)]).await;
            let response = api(&server.url()).get("/list").send().await.unwrap();
            let _ = next_link(&response);
        });
    }
}
