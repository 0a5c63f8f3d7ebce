//! Each number leads to exactly the rows that it counts; filters, found places and selections are in the address.

use forge_testkit::{FakeGitHub, JobSpec, RunSpec};
use serde_json::json;

use crate::{
    support::{TestServer, cargo_log, eventually, pytest_log},
    web::{Web, attribute},
    web_report::ingest,
};

const DAY_MS: i64 = 24 * 60 * 60 * 1000;

/// The rows of a list over all its pages.
async fn rows(web: &Web<'_>, address: &str) -> usize {
    let (mut count, mut address) = (0, address.to_owned());
    loop {
        let page = web.get(&address).await.expect(200);
        count += page.matches("<li data-row").count();
        let pager = page.split("class=\"pager\"").nth(1).unwrap_or_default();
        let older = pager.split("<a ").find(|link| link.contains(">Older<"));
        match older {
            Some(link) => address = attribute(link, "href=\""),
            None => return count,
        }
    }
}

/// The number of a tile and where it leads, by the words below it.
fn tile(page: &str, words: &str) -> (String, usize) {
    let end = page.find(&format!("</span>{words}</a>")).unwrap_or_else(|| panic!("no {words} in {page}"));
    let begin = page[..end].rfind("<a class=\"tile").unwrap();
    let tile = &page[begin..end];
    let figure: String = tile.rsplit('>').next().unwrap().chars().filter(char::is_ascii_digit).collect();
    (attribute(tile, "href=\""), figure.parse().unwrap())
}

#[tokio::test]
async fn each_number_of_the_overview_leads_to_its_rows() {
    let server = TestServer::start().await;
    // One that recurs, one of yesterday, one that is new, one that is resolved.
    let old = ingest(&server, "project=shop&job_name=unit&job_id=1", pytest_log()).await;
    let resolved = ingest(&server, "project=shop&job_name=build&job_id=2", cargo_log()).await;
    let database = format!("sqlite://{}", server.folder.path().join("forge-rca.db").display());
    // No more than a day: lists look for no report whose id is more than a day away from its time.
    let yesterday = format!(
        "UPDATE cluster SET first_seen_at = first_seen_at - {DAY_MS}, last_seen_at = last_seen_at - {DAY_MS}"
    );
    rca_store::testing::execute(&database, &yesterday).await;
    let aged = format!("UPDATE analysis SET created_at = created_at - {DAY_MS}");
    rca_store::testing::execute(&database, &aged).await;
    ingest(&server, "project=till&job_name=unit&job_id=3", pytest_log()).await;
    for (job, text) in [
        (4, "npm ERR! code E404\nnpm ERR! 404 Not Found - GET https://registry.npmjs.org/nope\n"),
        (5, "fatal: Could not resolve host: git.example.com\nexit code 128\n"),
    ] {
        ingest(&server, &format!("project=mail&job_name=j{job}&job_id={job}"), text.to_owned()).await;
    }
    let resolve = format!("/v1/clusters/{}/resolve", resolved["cluster_id"].as_str().unwrap());
    server.post(&resolve, json!({})).await.expect(200);
    // Read when a repository was connected: in the lists, and not in the numbers.
    rca_store::testing::execute(&database, "UPDATE analysis SET source = 'backfill' WHERE job_id = '5'")
        .await;

    // What is costly to count is counted when somebody signs in, and kept for half a minute.
    let web = Web::owner(&server).await;
    let page = web.get("/").await.expect(200);
    let mut seen = Vec::new();
    for words in ["causes red now", "new today", "came back today", "fixed today"] {
        let (address, number) = tile(&page, words);
        assert_eq!(rows(&web, &address).await, number, "{words}: {address}");
        let shown = web.get(&address).await.expect(200);
        assert!(shown.contains("Clear filters"), "{words}: what is filtered is said and can be cleared");
        seen.push(number);
    }
    assert!(seen.iter().all(|number| *number > 0), "every number counts something: {seen:?}");
    assert!(page.contains(&format!("/clusters/{}", old["cluster_id"].as_str().unwrap())));

    // The columns of the chart, and the failures beside each cost.
    let mut columns = 0;
    for link in
        page.split("<a href=\"/failures?counted=yes").skip(1).filter(|link| link.contains("aria-label=\""))
    {
        let link = format!("<a href=\"/failures?counted=yes{link}");
        let address = attribute(&link, "href=\"");
        let Some((label, _)) =
            link.split_once("<title>").map(|(_, rest)| rest.split_once("</title>").unwrap())
        else {
            continue;
        };
        let number: usize = label.rsplit(": ").next().unwrap().split(' ').next().unwrap().parse().unwrap();
        assert_eq!(rows(&web, &address).await, number, "{label}: {address}");
        columns += 1;
    }
    assert_eq!(columns, 2, "two days had failures: {page}");
    for link in page.split("href=\"/failures?cluster=").skip(1) {
        let address = attribute(&format!("href=\"/failures?cluster={link}"), "href=\"");
        let number: usize = link.split('>').nth(1).unwrap().split(' ').next().unwrap().parse().unwrap();
        assert_eq!(rows(&web, &address).await, number, "{address}");
    }

    // The page of statistics counts the same.
    let page = web.get("/statistics").await.expect(200);
    let (address, number) = tile(&page, "failed jobs");
    assert_eq!((rows(&web, &address).await, number), (4, 4), "{address}");
    let of_till = web.get("/statistics?repository=till").await.expect(200);
    let (address, number) = tile(&of_till, "failed jobs");
    assert_eq!((rows(&web, &address).await, number), (1, 1), "{address}");
    web.get("/statistics?since=yesterday").await.expect(422);
    server.stop().await;
}

#[tokio::test]
async fn filters_take_a_part_of_a_repository_and_offer_what_there_is() {
    let server = TestServer::start().await;
    let web = Web::owner(&server).await;
    for (project, branch) in
        [("acme/shop-one", "main"), ("acme/shop-two", "feature/x"), ("other/till", "main")]
    {
        ingest(&server, &format!("project={project}&branch={branch}&job_id={branch}"), pytest_log()).await;
    }
    let page = web.get("/failures").await.expect(200);
    for name in ["acme/shop-one", "other/till", "feature/x"] {
        assert!(page.contains(&format!("<option value=\"{name}\">")), "{name} is offered: {page}");
    }
    assert_eq!(rows(&web, "/failures?repository=SHOP").await, 2, "a part, in any case");
    assert_eq!(rows(&web, "/failures?repository=acme/shop-one").await, 1);
    assert_eq!(rows(&web, "/failures?repository=shop&branch=main").await, 1);
    assert_eq!(rows(&web, "/failures?repository=%25").await, 0, "no pattern can be smuggled in");
    // What is filtered stands in the address, so that going back finds it, and stays with every page of the list.
    let many = web.get("/failures?repository=shop&branch=main").await.expect(200);
    assert!(
        many.contains("value=\"shop\"") && many.contains("/failures?branch=main&#38;repository=shop"),
        "{many}"
    );
    server.stop().await;
}

#[tokio::test]
async fn the_log_keeps_its_search_when_lines_are_wrapped() {
    let (server, fake) = (TestServer::start().await, FakeGitHub::start().await);
    let repo = fake.add_repo("acme/shop");
    let integration = server.connect(&fake).await;
    server.monitor(&integration, &repo).await;
    let run = fake.add_run(&repo, &RunSpec::new(vec![JobSpec::failed("test", pytest_log())]));
    for outcome in fake.deliver(&run).await {
        assert!(outcome.is_success(), "{outcome:?}");
    }
    let id = server.analyses("repository=acme/shop", 1).await[0]["id"].as_str().unwrap().to_owned();
    let web = Web::owner(&server).await;
    let address = format!("/analyses/{id}/log?q=assert&lines=3-5");
    let page = eventually("the log is read", async || {
        let page = web.get(&address).await.expect(200);
        page.contains("<mark>").then_some(page)
    })
    .await;
    let link = page.split("Wrap lines").next().unwrap().rsplit("<a ").next().unwrap();
    let wrapped = attribute(link, "href=\"");
    assert!(
        wrapped.contains("q=assert") && wrapped.contains("lines=3-5") && wrapped.contains("wrap=1"),
        "{wrapped}"
    );
    let page = web.get(&wrapped).await.expect(200);
    assert!(
        page.contains("log whole wrap") && page.contains("<mark>") && page.contains("selected"),
        "{page}"
    );
    let link = page.split("Do not wrap lines").next().unwrap().rsplit("<a ").next().unwrap();
    let back = attribute(link, "href=\"");
    assert!(back.contains("q=assert") && back.contains("lines=3-5") && !back.contains("wrap"), "{back}");

    // What analysing again changed is said, in words and by lines, and stays with the report.
    let path = format!("/analyses/{id}");
    web.post(&path, &format!("{path}/rerun"), &[]).await.redirect();
    assert!(web.get(&path).await.expect(200).contains("The report stayed the same."));
    let before = server.get(&format!("/v1{path}")).await.expect(200);
    fake.set_log(run.jobs[0], cargo_log());
    let said = web.post(&path, &format!("{path}/rerun"), &[]).await.redirect();
    assert_eq!(said, format!("{path}?said=rerun_changed"));
    let page = web.get(&path).await.expect(200);
    let section = page.split("id=\"rerun\"").nth(1).unwrap().split("</section>").next().unwrap();
    let cause = before["report"]["root_cause"].as_str().unwrap().split(['\'', '<', '&', '"']).next().unwrap();
    assert!(section.contains(&format!("<del>{cause}")) && section.contains("<ins>"), "{section}");
    assert!(section.contains("mismatched types") && section.contains("Compile error"), "{section}");
    assert!(
        section.contains("New evidence") && section.contains("Evidence that is there no more"),
        "{section}"
    );
    assert!(section.contains(&format!("{path}/log?lines=")), "{section}");
    server.stop().await;
}

/// The words of use cases are the reader's, with what varies in them.
#[tokio::test]
async fn reasons_are_russian_on_russian_pages() {
    let (server, fake) = (TestServer::start().await, FakeGitHub::start().await);
    let repo = fake.add_repo("acme/shop");
    let integration = server.connect(&fake).await;
    let repository = server.monitor(&integration, &repo).await;
    let run = fake.add_run(&repo, &RunSpec::new(vec![JobSpec::green("test")]));
    for outcome in fake.deliver(&run).await {
        assert!(outcome.is_success(), "{outcome:?}");
    }
    let sent = ingest(&server, "project=shop", pytest_log()).await;
    server.idle().await;
    let web = Web::owner(&server).await;
    web.post("/settings", "/preferences", &[("language", "ru"), ("next", "/")]).await.redirect();
    let delivery = eventually("a delivery was ignored", async || {
        let list = server.get("/v1/deliveries?status=ignored").await.expect(200);
        list["items"].as_array()?.first().cloned()
    })
    .await;
    let reason = delivery["reason"].as_str().unwrap();
    let page = web.get(&format!("/deliveries/{}", delivery["id"].as_str().unwrap())).await.expect(200);
    assert!(!page.contains(reason), "'{reason}' is English on a Russian page");
    let report = web.get(&format!("/analyses/{}", sent["id"].as_str().unwrap())).await.expect(200);
    let whose = sent["introduced_by"]["reason"].as_str().unwrap();
    assert!(
        !report.contains(whose) && report.contains("<html lang=\"ru\""),
        "'{whose}' is English: {report}"
    );
    let refused = web.post("/tokens", "/tokens", &[("name", "")]).await.expect(422);
    assert!(refused.contains("role=\"alert\""), "{refused}");
    let wrong = web.get("/failures?since=yesterday").await.expect(422);
    assert!(wrong.contains("не время по RFC 3339"), "{wrong}");
    web.get(&format!("/integrations/{integration}/repositories/{repository}")).await.expect(200);
    server.stop().await;
}
