//! Where people reach us encrypted: which cookie signs in, and what is said of addresses that are not.

use reqwest::{Method, header};
use url::Url;

use crate::{
    support::{OWNER, TestServer},
    web::Web,
};

/// The session's cookie, as the server sets it.
async fn cookie(server: &TestServer) -> String {
    let sign_in = server.request(Method::POST, "/sign-in").form(&[("token", OWNER)]);
    let client =
        reqwest::Client::builder().no_proxy().redirect(reqwest::redirect::Policy::none()).build().unwrap();
    let answer = client.execute(sign_in.build().unwrap()).await.unwrap();
    assert_eq!(answer.status().as_u16(), 303);
    answer.headers()[header::SET_COOKIE].to_str().unwrap().to_owned()
}

#[tokio::test]
async fn over_https_only_the_hosts_own_cookie_signs_in() {
    let server = TestServer::start_with(|config| {
        config.public_url = Some(Url::parse("https://rca.example.com").unwrap());
    })
    .await;
    let set = cookie(&server).await;
    let (name, rest) = set.split_once('=').unwrap();
    let value = rest.split(';').next().unwrap();
    assert_eq!(name, "__Host-forge-rca");
    for part in ["; Secure", "; HttpOnly", "; SameSite=Lax", "; Path=/"] {
        assert!(set.contains(part), "{set}");
    }
    assert!(!set.contains("Domain"), "the prefix forbids it: {set}");
    let web = Web::stranger(&server);
    let get = async |cookie: String| {
        let request = web_request(&server, "/failures").header(header::COOKIE, cookie);
        server_send(request).await
    };
    assert_eq!(get(format!("__Host-forge-rca={value}")).await, 200);
    // A neighbouring host, or anybody on the way without encryption, can set these.
    for planted in ["forge-rca", "__Secure-forge-rca", "__host-forge-rca", "host-forge-rca"] {
        assert_eq!(get(format!("{planted}={value}")).await, 303, "{planted}");
    }
    assert_eq!(get(format!("forge-rca=somebody; __Host-forge-rca={value}")).await, 200);
    // The API takes the session by the same name only.
    let api = async |name: &str| {
        let request = web_request(&server, "/v1/analyses").header(header::COOKIE, format!("{name}={value}"));
        server_send(request).await
    };
    assert_eq!((api("__Host-forge-rca").await, api("forge-rca").await), (200, 401));
    assert_eq!(web.get("/failures").await.status, 303);
    server.stop().await;
}

#[tokio::test]
async fn without_encryption_the_plain_cookie_signs_in() {
    let server = TestServer::start().await;
    let set = cookie(&server).await;
    assert!(set.starts_with("forge-rca=") && !set.contains("Secure") && set.contains("HttpOnly"), "{set}");
    let value = set.split(';').next().unwrap().split_once('=').unwrap().1.to_owned();
    // What a proxy says of the way to it does not change what was set: the public address decides.
    let request = web_request(&server, "/failures")
        .header("x-forwarded-proto", "https")
        .header(header::COOKIE, format!("forge-rca={value}"));
    assert_eq!(server_send(request).await, 200);
    let request =
        web_request(&server, "/failures").header(header::COOKIE, format!("__Host-forge-rca={value}"));
    assert_eq!(server_send(request).await, 303);
    server.stop().await;
}

fn web_request(server: &TestServer, path: &str) -> reqwest::RequestBuilder {
    let client =
        reqwest::Client::builder().no_proxy().redirect(reqwest::redirect::Policy::none()).build().unwrap();
    client.get(format!("{}{path}", server.base)).header(header::ACCEPT, "text/html")
}

async fn server_send(request: reqwest::RequestBuilder) -> u16 {
    request.send().await.unwrap().status().as_u16()
}
