use std::sync::{Arc, Mutex};

use forge_core::ErrorKind;
use rca_notify::{ChannelConfig, MailServer, Place};
use serde_json::json;
use tokio::{
    io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader},
    net::TcpListener,
};

use crate::{message, outlets};

/// A mail server that takes one mail a connection, or answers `MAIL FROM` with a refusal.
async fn smtp(refusal: Option<&'static str>) -> (String, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("smtp://{}", listener.local_addr().unwrap());
    let mails = Arc::new(Mutex::new(Vec::new()));
    let taken = Arc::clone(&mails);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let taken = Arc::clone(&taken);
            tokio::spawn(async move {
                let (reader, mut writer) = stream.into_split();
                let mut lines = BufReader::new(reader).lines();
                writer.write_all(b"220 test ESMTP\r\n").await.unwrap();
                let mut data: Option<String> = None;
                while let Ok(Some(line)) = lines.next_line().await {
                    if let Some(text) = &mut data {
                        if line == "." {
                            taken.lock().unwrap().push(std::mem::take(text));
                            data = None;
                            writer.write_all(b"250 taken\r\n").await.unwrap();
                        } else {
                            text.push_str(&line);
                            text.push('\n');
                        }
                        continue;
                    }
                    let answer = match line.split_whitespace().next().unwrap_or_default() {
                        "EHLO" => "250 test\r\n".to_owned(),
                        "MAIL" => refusal.map_or("250 ok\r\n".to_owned(), |refusal| format!("{refusal}\r\n")),
                        "DATA" => {
                            data = Some(String::new());
                            "354 go on\r\n".to_owned()
                        }
                        "QUIT" => "221 bye\r\n".to_owned(),
                        _ => "250 ok\r\n".to_owned(),
                    };
                    writer.write_all(answer.as_bytes()).await.unwrap();
                }
            });
        }
    });
    (url, mails)
}

fn channel(url: &str) -> Box<dyn rca_notify::Notifier> {
    let server = MailServer::new(&url.to_owned().into(), "Forge RCA <rca@example.com>").unwrap();
    let config =
        ChannelConfig::parse("email", &json!({ "to": ["one@example.com", "two@example.com"] })).unwrap();
    outlets().with_mail(server).open(&config, None).unwrap()
}

#[tokio::test]
async fn a_mail_has_two_forms_and_hangs_on_the_first() {
    let (url, mails) = smtp(None).await;
    let mail = channel(&url);
    assert!(!mail.can_edit() && mail.is_repeatable());
    let mut hostile = message();
    hostile.title = "shop: x\r\nBcc: thief@example.com".to_owned();
    let first = mail.send(&hostile, Place::New).await.unwrap();
    assert_eq!(first.id, "<analysis-7@example.com>");
    let mut later = message();
    later.key = "analysis-8".to_owned();
    assert_eq!(mail.send(&later, Place::Reply(&first)).await.unwrap(), first);
    let mails = mails.lock().unwrap().clone();
    assert_eq!(mails.len(), 2);
    assert!(mails[0].contains("Message-ID: <analysis-7@example.com>"), "{}", mails[0]);
    assert!(!mails[0].contains("\nBcc:"), "a title is one line");
    assert!(mails[0].contains("Auto-Submitted: auto-generated"));
    assert!(mails[0].contains("text/plain") && mails[0].contains("text/html"));
    let (_, html) = mails[0].split_once("text/html").unwrap();
    // Whatever the transfer encoding made of it, the tag is not there.
    assert!(
        html.contains("&lt;b&gt;x&lt;/b&gt;") && !html.contains("<b>x</b>"),
        "log text is no markup: {html}"
    );
    assert!(mails[1].contains("In-Reply-To: <analysis-7@example.com>"));
}

#[tokio::test]
async fn refusals_are_told_apart() {
    for (refusal, kind) in [
        ("535 login refused canary", ErrorKind::Unauthorized),
        ("550 no such receiver canary", ErrorKind::Invalid),
        ("451 later canary", ErrorKind::Forge),
    ] {
        let (url, _) = smtp(Some(refusal)).await;
        let error = channel(&url).send(&message(), Place::New).await.unwrap_err();
        assert_eq!(error.kind(), kind, "{error}");
        assert!(!format!("{error}").contains("canary"));
    }
    let closed = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let error = channel(&format!("smtp://{closed}")).send(&message(), Place::New).await.unwrap_err();
    assert!(error.kind().is_transient(), "{error}");
}

#[test]
fn a_wrong_server_address_is_not_repeated() {
    let error = MailServer::new(&"nonsense://user:canary@host".to_owned().into(), "a@b.example").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    assert!(!format!("{error} {error:?}").contains("canary"));
    assert!(MailServer::new(&"smtp://localhost".to_owned().into(), "nobody").is_err());
}
