//! Certificates and proxies.

use std::sync::Arc;

use forge_core::{ErrorKind, Retry};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpListener,
};
use tokio_rustls::{
    TlsAcceptor,
    rustls::{ServerConfig, pki_types::PrivateKeyDer},
};
use url::Url;

use crate::support::{CANARY, Names, RawServer, Reply, api_with, builder};

/// A server whose certificate for `name` is signed by a CA of its own. Returns its port and the CA's PEM.
async fn tls_server(name: &str, is_expired: bool) -> (u16, String) {
    let mut ca = CertificateParams::new(Vec::new()).unwrap();
    ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let ca = CertifiedIssuer::self_signed(ca, KeyPair::generate().unwrap()).unwrap();
    let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
    if is_expired {
        params.not_before = rcgen::date_time_ymd(2020, 1, 1);
        params.not_after = rcgen::date_time_ymd(2020, 2, 1);
    }
    let key = KeyPair::generate().unwrap();
    let certificate = params.signed_by(&key, &ca).unwrap();
    let provider = Arc::new(tokio_rustls::rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(
            vec![certificate.der().clone()],
            PrivateKeyDer::try_from(key.serialize_der()).unwrap(),
        )
        .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                // A client that does not trust us ends here.
                let Ok(mut stream) = acceptor.accept(stream).await else { return };
                let _ = stream.read(&mut [0; 4096]).await;
                let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}").await;
                let _ = stream.shutdown().await;
            });
        }
    });
    (port, ca.pem())
}

#[tokio::test]
async fn an_own_ca_is_trusted_only_when_it_is_given() {
    let (port, ca) = tls_server("forge.example", false).await;
    let base = format!("https://forge.example:{port}");
    let names = || Arc::new(Names::default().with("forge.example", &[&["127.0.0.1"]]));
    let plain = builder().with_http_allowed(false).with_resolver(names()).build().unwrap();
    let error = api_with(plain, &base).get("/user").send().await.unwrap_err();
    assert_eq!((error.kind(), error.retry()), (ErrorKind::Unreachable, Retry::Never));
    assert!(error.message().contains("not trusted") && error.hint().unwrap().contains("CA"), "{error}");

    let trusting = builder().with_resolver(names()).with_root_certificate_pem(ca.as_bytes()).build().unwrap();
    api_with(trusting, &base).get("/user").send().await.unwrap();
}

#[tokio::test]
async fn another_name_or_a_past_date_is_refused_even_with_the_ca() {
    for (name, is_expired) in [("other.example", false), ("forge.example", true)] {
        let (port, ca) = tls_server(name, is_expired).await;
        let names = Names::default().with("forge.example", &[&["127.0.0.1"]]);
        let client = builder()
            .with_resolver(Arc::new(names))
            .with_root_certificate_pem(ca.as_bytes())
            .build()
            .unwrap();
        let error =
            api_with(client, &format!("https://forge.example:{port}")).get("/user").send().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unreachable, "{name}");
        assert!(error.message().contains("not trusted"), "{name}: {error:?}");
    }
}

#[test]
fn a_certificate_that_is_none_is_refused() {
    for pem in ["", "hello", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"] {
        let error = builder().with_root_certificate_pem(pem.as_bytes()).build().expect_err(pem);
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
    }
}

#[tokio::test]
async fn a_proxy_is_used_only_when_it_is_named_and_judges_the_target_first() {
    let proxy = RawServer::start(vec![Reply::json("{}")]).await;
    let names =
        Names::default().with("forge.example", &[&["127.0.0.1"]]).with("inner.example", &[&["10.0.0.1"]]);
    let client = builder()
        .with_resolver(Arc::new(names))
        .with_proxy(&Url::parse(&proxy.url()).unwrap())
        .build()
        .unwrap();
    api_with(client.clone(), "http://forge.example").get("/user").send().await.unwrap();
    assert!(proxy.heard()[0].starts_with("GET http://forge.example/user HTTP/1.1"), "{:?}", proxy.heard());

    for base in ["http://inner.example", "http://10.0.0.1", "https://169.254.169.254"] {
        let error = api_with(client.clone(), base).get("/user").send().await.expect_err(base);
        assert_eq!(error.kind(), ErrorKind::AddressRefused, "{base}");
    }
    let error = api_with(client, "http://unknown.example").post("/user").send().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unreachable);
    assert_eq!(proxy.heard().len(), 1);
}

#[test]
fn a_proxy_where_nobody_may_go_is_refused() {
    for proxy in ["http://10.0.0.1:3128", "http://user:PASS-77@169.254.169.254:80"] {
        let error = builder().with_proxy(&Url::parse(proxy).unwrap()).build().expect_err(proxy);
        assert_eq!(error.kind(), ErrorKind::AddressRefused);
        assert!(!format!("{error:?}").contains("PASS-77"));
    }
}

/// The environment can only be set for a child, so the test runs itself again as one.
#[test]
fn a_proxy_in_the_environment_is_ignored() {
    const FORGE: &str = "FORGE_HTTP_TEST_FORGE";
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    if let Ok(forge) = std::env::var(FORGE) {
        runtime.block_on(async {
            api_with(builder().build().unwrap(), &forge).get("/user").send().await.unwrap()
        });
        return;
    }
    let (proxy, forge) = runtime.block_on(async {
        let proxy = RawServer::start(vec![Reply::json("{}")]).await;
        (proxy, RawServer::start(vec![Reply::json("{}")]).await)
    });
    #[expect(
        clippy::disallowed_methods,
        reason = "the test binary runs itself, to have an environment of its own"
    )]
    let mut child = std::process::Command::new(std::env::current_exe().unwrap());
    child.args(["--exact", "tls_and_proxy::a_proxy_in_the_environment_is_ignored"]).env(FORGE, forge.url());
    for name in ["HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "ALL_PROXY", "all_proxy"] {
        child.env(name, proxy.url());
    }
    for name in ["NO_PROXY", "no_proxy", "REQUEST_METHOD"] {
        child.env_remove(name);
    }
    let output = child.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    assert!(proxy.heard().is_empty(), "{:?}", proxy.heard());
    assert_eq!(forge.heard().len(), 1);
    assert!(forge.heard()[0].contains(CANARY));
}
