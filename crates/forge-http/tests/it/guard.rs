//! Which addresses are spoken to.

use std::{
    net::IpAddr,
    sync::{Arc, LazyLock},
};

use forge_core::ErrorKind;
use forge_http::{HttpClient, IpNetwork};
use proptest::prelude::*;
use url::Url;

use crate::support::{Names, RawServer, Reply, api_with, builder};

const REFUSED_HOSTS: &[&str] = &[
    "127.0.0.1",
    "127.255.255.254",
    "0.0.0.0",
    "10.0.0.1",
    "172.16.0.1",
    "172.31.255.255",
    "192.168.1.1",
    "100.64.0.1",
    "100.127.255.255",
    "169.254.169.254",
    "169.254.0.1",
    "192.0.0.1",
    "192.0.2.1",
    "198.18.0.1",
    "198.51.100.7",
    "203.0.113.9",
    "224.0.0.1",
    "240.0.0.1",
    "255.255.255.255",
    "168.63.129.16",
    "100.100.100.200",
    "[::]",
    "[::1]",
    "[fc00::1]",
    "[fd00:ec2::254]",
    "[fdff::1]",
    "[fe80::1]",
    "[fec0::1]",
    "[ff02::1]",
    "[::ffff:127.0.0.1]",
    "[::ffff:10.0.0.1]",
    "[::ffff:a9fe:a9fe]",
    "[::127.0.0.1]",
    "[64:ff9b::7f00:1]",
    "[64:ff9b::a9fe:a9fe]",
    "[64:ff9b:1::a00:1]",
    "[2002:7f00:1::]",
    "[2002:a9fe:a9fe::1]",
    "[2001::1]",
    "[2001:db8::1]",
    "[3fff::1]",
    "[100::1]",
    "[4000::1]",
    // The same addresses in disguise.
    "2130706433",
    "0x7f000001",
    "0x7f.1",
    "017700000001",
    "0177.0.0.1",
    "127.1",
    "127.0.0.1.",
    "0",
    "3232235777",
    "１２７.０.０.１",
    "①②⑦.⓪.⓪.①",
    "localhost",
    "localhost.",
    "LOCALHOST",
    "ｌｏｃａｌｈｏｓｔ",
    "forge.localhost",
];

#[test]
fn addresses_that_are_not_global_are_refused() {
    let client = HttpClient::builder().build().unwrap();
    for host in REFUSED_HOSTS {
        let url = Url::parse(&format!("https://{host}/api")).unwrap();
        let error = client.check_url(&url).expect_err(host);
        assert_eq!(error.kind(), ErrorKind::AddressRefused, "{host}");
        assert!(error.hint().is_some(), "{host}");
    }
}

#[test]
fn global_addresses_and_names_pass() {
    let client = HttpClient::builder().build().unwrap();
    for host in
        ["1.1.1.1", "172.32.0.1", "100.128.0.1", "[2606:4700::1111]", "gitlab.example", "bücher.example"]
    {
        client.check_url(&Url::parse(&format!("https://{host}/")).unwrap()).expect(host);
    }
}

#[test]
fn schemes_and_user_information_are_refused() {
    let client = HttpClient::builder().build().unwrap();
    for url in
        ["http://forge.example/", "file:///etc/passwd", "ftp://forge.example/", "gopher://forge.example/"]
    {
        let error = client.check_url(&Url::parse(url).unwrap()).expect_err(url);
        assert_eq!(error.kind(), ErrorKind::AddressRefused, "{url}");
    }
    let error = client.check_url(&Url::parse("https://user:pa55word@forge.example/").unwrap()).unwrap_err();
    assert!(!format!("{error:?}").contains("pa55word"));
}

#[test]
fn allowed_networks_open_what_they_name_and_no_more() {
    let client =
        HttpClient::builder().with_allowed_networks(["10.1.0.0/16".parse().unwrap()]).build().unwrap();
    let check = |host: &str| client.check_url(&Url::parse(&format!("https://{host}/")).unwrap());
    check("10.1.2.3").unwrap();
    check("[::ffff:10.1.2.3]").unwrap();
    check("10.2.0.1").unwrap_err();
    check("[64:ff9b::a01:203]").unwrap_err();
    check("127.0.0.1").unwrap_err();
}

#[test]
fn metadata_needs_its_own_switch_even_in_an_allowed_network() {
    let everything: [IpNetwork; 2] = ["0.0.0.0/0".parse().unwrap(), "::/0".parse().unwrap()];
    let metadata = [
        "169.254.169.254",
        "[::ffff:169.254.169.254]",
        "[fd00:ec2::254]",
        "[fe80::1]",
        "[64:ff9b::a9fe:a9fe]",
        "[2002:a9fe:a9fe::]",
    ];
    for host in metadata {
        let url = Url::parse(&format!("https://{host}/")).unwrap();
        let closed = HttpClient::builder().with_allowed_networks(everything).build().unwrap();
        assert_eq!(closed.check_url(&url).unwrap_err().kind(), ErrorKind::AddressRefused, "{host}");
        let open = HttpClient::builder().with_allowed_networks(everything).with_metadata_allowed(true);
        open.build().unwrap().check_url(&url).expect(host);
        let not_listed = HttpClient::builder().with_metadata_allowed(true).build().unwrap();
        assert!(not_listed.check_url(&url).is_err(), "{host}");
    }
}

#[tokio::test]
async fn a_literal_address_is_judged_although_no_resolver_sees_it() {
    let server = RawServer::start(vec![Reply::json("{}")]).await;
    let closed = HttpClient::builder().with_http_allowed(true).build().unwrap();
    let error = api_with(closed, &server.url()).get("/user").send().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::AddressRefused);
    assert!(server.heard().is_empty());
}

#[tokio::test]
async fn a_name_is_judged_by_where_it_leads_at_connect() {
    let server = RawServer::start(vec![Reply::json("{}")]).await;
    let names = Names::default()
        .with("inner.example", &[&["127.0.0.1"]])
        .with("mixed.example", &[&["93.184.215.14", "127.0.0.1"]])
        .with("mapped.example", &[&["::ffff:127.0.0.1"]])
        .with("metadata.example", &[&["169.254.169.254"]])
        .with("empty.example", &[&[]]);
    let closed =
        HttpClient::builder().with_http_allowed(true).with_resolver(Arc::new(names)).build().unwrap();
    for (host, kind) in [
        ("inner.example", ErrorKind::AddressRefused),
        ("mixed.example", ErrorKind::AddressRefused),
        ("mapped.example", ErrorKind::AddressRefused),
        ("metadata.example", ErrorKind::AddressRefused),
        ("empty.example", ErrorKind::Unreachable),
        ("unknown.example", ErrorKind::Unreachable),
    ] {
        let base = format!("http://{host}:{}", server.port());
        let error = api_with(closed.clone(), &base).post("/user").send().await.expect_err(host);
        assert_eq!(error.kind(), kind, "{host}: {error:?}");
    }
    assert!(server.heard().is_empty());
}

#[tokio::test]
async fn a_name_that_moves_inside_is_refused_at_the_next_connect() {
    let server = RawServer::start(vec![Reply::json("{}")]).await;
    let names =
        Arc::new(Names::default().with("forge.example", &[&["127.0.0.1"], &["127.0.0.1"], &["10.0.0.1"]]));
    let client = builder().with_resolver(Arc::clone(&names) as _).build().unwrap();
    let api = api_with(client, &format!("http://forge.example:{}", server.port()));
    api.get("/user").send().await.unwrap();
    api.get("/user").send().await.unwrap();
    let error = api.get("/user").send().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::AddressRefused);
    assert_eq!(names.times_asked("forge.example"), 3);
    assert_eq!(server.heard().len(), 2);
}

#[test]
fn networks_are_read_strictly() {
    for text in
        ["10.0.0.0/33", "10.0.0.0/-1", "10.0.0.0/", "::/129", "10.0.0/8", "forge.example", "10.0.0.0/+8", ""]
    {
        text.parse::<IpNetwork>().expect_err(text);
    }
    let single: IpNetwork = "::1".parse().unwrap();
    assert!(single.contains("::1".parse().unwrap()));
    assert!(!single.contains("::2".parse().unwrap()));
    assert_eq!(single.to_string(), "::1/128");
    let all: IpNetwork = "0.0.0.0/0".parse().unwrap();
    assert!(all.contains("8.8.8.8".parse().unwrap()));
    assert!(!all.contains("2606::1".parse().unwrap()));
}

proptest! {
    #[test]
    fn a_network_holds_what_shares_its_prefix(network: u32, other: u32, prefix in 0_u32..=32) {
        let text = format!("{}/{prefix}", std::net::Ipv4Addr::from(network));
        let parsed: IpNetwork = text.parse().unwrap();
        let shares = (0..prefix).all(|bit| (network ^ other) >> (31 - bit) & 1 == 0);
        prop_assert_eq!(parsed.contains(IpAddr::from(other.to_be_bytes())), shares);
    }

    #[test]
    fn no_spelling_of_a_private_address_passes(low in 0_u32..0x0100_0000) {
        static CLIENT: LazyLock<HttpClient> = LazyLock::new(|| HttpClient::builder().build().unwrap());
        let address = 0x0a00_0000 | low;
        for host in [format!("{address}"), format!("{address:#x}"), format!("0{address:o}")] {
            let url = Url::parse(&format!("https://{host}/")).unwrap();
            prop_assert!(CLIENT.check_url(&url).is_err(), "{}", host);
        }
    }

    #[test]
    fn parsing_networks_never_panics(text in "\\PC{0,40}") {
        let _ = text.parse::<IpNetwork>();
    }
}
