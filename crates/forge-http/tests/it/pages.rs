//! Lists in pages.

use std::{sync::Arc, time::Duration};

use forge_core::{ErrorKind, Result};
use forge_http::{MOST_AHEAD, Next, Response, each_once, next_link, numbered_link, pages, side_by_side};
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use proptest::prelude::*;
use tokio::sync::Semaphore;

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

fn parse_counted(response: &Response) -> Result<(Vec<u32>, Option<Next>)> {
    Ok((response.json()?, numbered_link(response)?))
}

fn page_of(request: &str) -> u32 {
    let query = request.split_whitespace().nth(1).unwrap();
    query.split("page=").nth(1).map_or(1, |number| number.parse().unwrap())
}

/// Pages of one item, its number, up to `last`; `told` is what the header says is the last one.
async fn numbered(last: u32, told: u32) -> RawServer {
    RawServer::start_with(move |_, request| {
        let number = page_of(request);
        let next = format!(
            r#"</list?size=1&page={}>; rel="next", </list?size=1&page={told}>; rel="last""#,
            number + 1
        );
        page(&format!("[{number}]"), if number < last { &next } else { "" })
    })
    .await
}

#[tokio::test]
async fn counted_pages_are_fetched_ahead_once_the_second_is_wanted() {
    let server = numbered(20, 20).await;
    let api = api(&server.url());
    let mut list = pages(api.get("/list"), api, parse_counted);
    assert_eq!(list.next().await.unwrap().unwrap(), 1);
    assert_eq!(server.heard().len(), 1, "nothing is fetched for a reader who may stop");
    for expected in 2..=20 {
        assert_eq!(list.next().await.unwrap().unwrap(), expected, "in order");
        assert!(server.heard().len() <= expected as usize + MOST_AHEAD, "a few, not all");
    }
    assert!(list.next().await.is_none());
    assert_eq!(server.heard().len(), 20, "no page twice and none too many");
}

#[tokio::test]
async fn pages_ahead_are_under_way_together() {
    let gate = Arc::new(Semaphore::new(0));
    let held = Arc::clone(&gate);
    let server = RawServer::start_with(move |_, request| {
        let number = page_of(request);
        let link = format!(r#"</list?page={}>; rel="next", </list?page=20>; rel="last""#, number + 1);
        let Reply::Bytes(bytes) = page(&format!("[{number}]"), &link) else { unreachable!("it is bytes") };
        if number == 1 { Reply::Bytes(bytes) } else { Reply::Gate(Arc::clone(&held), bytes) }
    })
    .await;
    let api = api(&server.url());
    let mut list = pages(api.get("/list"), api, parse_counted);
    list.next().await.unwrap().unwrap();
    let reader = tokio::spawn(async move { list.next().await.unwrap().unwrap() });
    let all = async {
        while server.heard().len() < 1 + MOST_AHEAD {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), all).await.expect("none is answered before all are asked");
    gate.add_permits(1000);
    assert_eq!(reader.await.unwrap(), 2);
}

#[tokio::test]
async fn counted_lists_may_grow_and_shrink() {
    for (last, told) in [(12, 9), (4, 9), (2, 10_000_000), (1, 9)] {
        let server = numbered(last, told).await;
        let api = api(&server.url());
        let list = pages(api.get("/list"), api, parse_counted);
        let all: Vec<u32> = list.try_collect().await.unwrap();
        assert_eq!(all, (1..=last).collect::<Vec<_>>(), "{last} pages where {told} were told");
        assert!(server.heard().len() <= last as usize + MOST_AHEAD);
    }
}

#[tokio::test]
async fn addresses_that_change_their_form_are_followed_one_by_one() {
    let server = RawServer::start_with(|_, request| {
        let number = page_of(request);
        let link = format!(
            r#"</list?after={number}&page={}>; rel="next", </list?after={number}&page=8>; rel="last""#,
            number + 1
        );
        page(&format!("[{number}]"), if number < 8 { &link } else { "" })
    })
    .await;
    let api = api(&server.url());
    let all: Vec<u32> = pages(api.get("/list"), api, parse_counted).try_collect().await.unwrap();
    assert_eq!(all, [1, 2, 3, 4, 5, 6, 7, 8]);
    assert!(server.heard().len() <= 8 + MOST_AHEAD, "guesses end when they prove wrong");
}

#[tokio::test]
async fn a_failed_page_ends_the_list_behind_those_before_it() {
    let server = RawServer::start_with(|_, request| match page_of(request) {
        3 => Reply::new("403 Forbidden", &[], "no"),
        number => {
            let link = format!(r#"</list?page={}>; rel="next", </list?page=9>; rel="last""#, number + 1);
            page(&format!("[{number}]"), &link)
        }
    })
    .await;
    let api = api(&server.url());
    let mut list = pages(api.get("/list").operation("list things"), api, parse_counted);
    assert_eq!(list.next().await.unwrap().unwrap(), 1);
    assert_eq!(list.next().await.unwrap().unwrap(), 2);
    let error = list.next().await.unwrap().unwrap_err();
    assert_eq!((error.kind(), error.operation()), (ErrorKind::Forbidden, Some("list things")));
    assert!(list.next().await.is_none());
}

#[tokio::test]
async fn lists_stand_side_by_side_in_their_order() {
    let server = RawServer::start_with(|_, request| {
        let name = request.split_whitespace().nth(1).unwrap().trim_start_matches("/list").to_owned();
        Reply::json(&format!("[{name}0,{name}1]"))
    })
    .await;
    let api = api(&server.url());
    let lists = stream::iter(1..=9)
        .map(move |number| Ok(pages(api.get(&format!("/list{number}")), api.clone(), parse)));
    let mut all = side_by_side(lists.boxed());
    assert_eq!(all.next().await.unwrap().unwrap(), 10);
    assert_eq!(all.next().await.unwrap().unwrap(), 11);
    assert_eq!(server.heard().len(), 1, "the first list is read alone");
    assert_eq!(all.next().await.unwrap().unwrap(), 20);
    assert!(server.heard().len() <= 1 + MOST_AHEAD + 1);
    let rest: Vec<u32> = all.try_collect().await.unwrap();
    assert_eq!(rest.first(), Some(&21));
    assert_eq!(rest.last(), Some(&91));
    assert_eq!((rest.len(), server.heard().len()), (15, 9));
}

#[tokio::test]
async fn an_item_that_comes_twice_is_told_once() {
    let items = stream::iter([1, 2, 2, 3, 1].map(Ok)).boxed();
    let all: Vec<u32> = each_once(items, u32::to_string).try_collect().await.unwrap();
    assert_eq!(all, [1, 2, 3]);
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
