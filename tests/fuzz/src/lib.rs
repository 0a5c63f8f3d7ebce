//! One delivery made of any bytes: whatever comes, it is refused or read, and nothing passes without the secret.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use forge_core::{Delivery, Secrets, WebhookReceiver};
use hmac::{Hmac, KeyInit as _, Mac as _};
use http::{HeaderMap, HeaderName, HeaderValue};
use jiff::Timestamp;
use sha2::Sha256;

const SECRET: &str = "0123456789abcdef0123456789abcdef";
const KEY: [u8; 32] = [7; 32];
const AT: i64 = 1_776_000_000;

/// How a forge proves a delivery.
#[derive(Clone, Copy)]
pub enum Proof {
    /// The secret stands in this header.
    Token(&'static str),
    /// This header holds `sha256=` and the HMAC over the body.
    Hmac(&'static str),
}

/// What is known of a forge's deliveries.
pub struct Forge<'a> {
    /// The adapter's receiving side.
    pub receiver: &'a dyn WebhookReceiver,
    /// The header that names the event; empty where the body does.
    pub event_header: &'static str,
    /// Names of events that there are.
    pub events: &'static [&'static str],
    /// How it proves a delivery.
    pub proof: Proof,
    /// Whether it can sign by Standard Webhooks too.
    pub has_standard_webhooks: bool,
}

/// `input` is header lines, an empty line and a body; or a body only, which is then read as every event.
pub fn check(forge: &Forge<'_>, input: &[u8]) {
    let end = input.windows(2).position(|pair| pair == b"\n\n");
    match end.filter(|_| !matches!(input.first(), None | Some(b'{' | b'[' | b'\n'))) {
        Some(end) => check_one(forge, headers_of(&input[..end]), &input[end + 2..]),
        None if forge.event_header.is_empty() => check_one(forge, HeaderMap::new(), input),
        None => {
            for event in forge.events {
                let mut headers = HeaderMap::new();
                headers.insert(forge.event_header, HeaderValue::from_static(event));
                check_one(forge, headers, input);
            }
        }
    }
}

fn headers_of(lines: &[u8]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for line in lines.split(|byte| *byte == b'\n').take(20) {
        let Some(colon) = line.iter().position(|byte| *byte == b':') else { continue };
        let name = HeaderName::from_bytes(&line[..colon]);
        let value = HeaderValue::from_bytes(line[colon + 1..].trim_ascii());
        if let (Ok(name), Ok(value)) = (name, value) {
            headers.append(name, value);
        }
    }
    headers
}

fn check_one(forge: &Forge<'_>, mut headers: HeaderMap, body: &[u8]) {
    let received_at = Timestamp::from_second(AT).expect("a time");
    let query = headers.remove("query");
    let query = query.as_ref().and_then(|query| query.to_str().ok());
    let secrets = Secrets::new(SECRET.into());
    let signed = Secrets::none().with_signing(format!("whsec_{}", STANDARD.encode(KEY)).into());
    let delivery = Delivery { headers: &headers, query, body, received_at };

    let _ = forge.receiver.delivery_id(&headers);
    let _ = forge.receiver.is_unsigned_ping(&delivery);
    // Nobody can know the secret by chance; a text that holds it was made by somebody who looked here.
    let holds_secret = headers.values().any(|value| value.as_bytes().windows(8).any(|part| part == &SECRET.as_bytes()[..8]))
        || query.is_some_and(|query| query.contains(&SECRET[..8]));
    if !holds_secret {
        assert!(forge.receiver.verify(&delivery, &secrets).is_err(), "passed without the secret");
    }
    assert!(forge.receiver.verify(&delivery, &Secrets::none()).is_err(), "passed where there is no secret");
    if let Ok(event) = forge.receiver.inspect(&delivery) {
        assert!(!event.triggers_rca || event.run_id.is_some(), "acts on what it cannot name");
        assert!(event.reason.is_some(), "does not say why");
    }

    let mut proved = headers.clone();
    let (name, value) = match forge.proof {
        Proof::Token(name) => (name, SECRET.to_owned()),
        Proof::Hmac(name) => (name, format!("sha256={}", hex::encode(hmac(SECRET.as_bytes(), &[body])))),
    };
    proved.insert(name, value.parse().expect("a header"));
    assert_passes(forge, &Delivery { headers: &proved, query, body, received_at }, &secrets);
    if forge.has_standard_webhooks {
        let time = AT.to_string();
        let digest = hmac(&KEY, &[b"id.", time.as_bytes(), b".", body]);
        let mut proved = headers;
        proved.insert("webhook-id", HeaderValue::from_static("id"));
        proved.insert("webhook-timestamp", time.parse().expect("a header"));
        proved.insert("webhook-signature", format!("v1,{}", STANDARD.encode(digest)).parse().expect("a header"));
        assert_passes(forge, &Delivery { headers: &proved, query, body, received_at }, &signed);
    }
}

fn assert_passes(forge: &Forge<'_>, delivery: &Delivery<'_>, secrets: &Secrets) {
    let verified = forge.receiver.verify(delivery, secrets).expect("the proof is right");
    let _ = forge.receiver.parse(&verified);
}

fn hmac(key: &[u8], parts: &[&[u8]]) -> Vec<u8> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("any key");
    for part in parts {
        mac.update(part);
    }
    mac.finalize().into_bytes().to_vec()
}
