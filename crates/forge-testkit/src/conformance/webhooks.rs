//! Deliveries: proof and parsing. No request is sent at all.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use forge_core::{
    Delivery, Secrets, VerifyError,
    model::{Conclusion, Event, EventKind},
};
use http::{HeaderMap, HeaderName, HeaderValue};
use jiff::{SignedDuration, Timestamp};
use secrecy::SecretString;

use super::{Harness, shop};
use crate::{
    HookSetup, JobSpec, Message, RunHandle, RunSpec, SignedRequest, State,
    deliver::{hmac, put},
};

const SECRET: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
const OTHER: &str = "fedcba9876543210fedcba9876543210fedcba9876543210fedcba9876543210";

/// One way to prove a delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    Shared,
    Signing,
}

fn signing_token(fill: u8) -> String {
    format!("whsec_{}", STANDARD.encode([fill; 32]))
}

fn forms<H: Harness>(harness: &H) -> Vec<Form> {
    let capabilities = harness.provider().capabilities();
    let mut forms = Vec::new();
    if capabilities.token_deliveries || (capabilities.signed_deliveries && !capabilities.signed_delivery_time)
    {
        forms.push(Form::Shared);
    }
    if capabilities.signed_delivery_time {
        forms.push(Form::Signing);
    }
    assert!(!forms.is_empty(), "the adapter claims no form of proof at all");
    forms
}

fn secrets(form: Form, is_right: bool) -> Secrets {
    match form {
        Form::Shared => Secrets::new(SecretString::from(if is_right { SECRET } else { OTHER }.to_owned())),
        Form::Signing => {
            let token = signing_token(if is_right { 7 } else { 8 });
            Secrets::none().with_signing(SecretString::from(token))
        }
    }
}

struct Case<H> {
    harness: H,
    run: RunHandle,
}

async fn start<H: Harness>() -> Case<H> {
    let harness = H::start().await;
    let repo = shop(harness.fake());
    let run = harness.fake().add_run(&repo, &RunSpec::new(vec![JobSpec::failed("test", "boom\n")]));
    Case { harness, run }
}

impl<H: Harness> Case<H> {
    fn hook(&self, form: Option<Form>) -> u64 {
        let setup = HookSetup::new("http://127.0.0.1:9/hook");
        let setup = match form {
            Some(Form::Shared) => setup.with_secret(SECRET),
            Some(Form::Signing) => setup.with_signing_token(&signing_token(7)),
            None => setup,
        };
        let repo = shop(self.harness.fake());
        self.harness.fake().add_hook(&repo, &setup)
    }

    fn request(&self, form: Form) -> SignedRequest {
        self.harness.fake().signed_request(&self.run, self.hook(Some(form))).expect("the run has a payload")
    }

    /// The names of the headers that carry the proof.
    fn proof_headers(&self, form: Form) -> Vec<HeaderName> {
        let plain = self.harness.fake().signed_request(&self.run, self.hook(None)).expect("a payload");
        let signed = self.request(form);
        signed.headers.keys().filter(|name| !plain.headers.contains_key(*name)).cloned().collect()
    }

    fn verify(&self, request: &SignedRequest, secrets: &Secrets) -> Result<(), VerifyError> {
        self.verify_parts(&request.headers, request.body(), secrets, self.harness.fake().now())
    }

    fn verify_parts(
        &self,
        headers: &HeaderMap,
        body: &[u8],
        secrets: &Secrets,
        received_at: Timestamp,
    ) -> Result<(), VerifyError> {
        let delivery = Delivery { headers, query: None, body, received_at };
        self.harness.provider().webhooks().verify(&delivery, secrets).map(|_| ())
    }

    fn parse(&self, message: &Message) -> forge_core::Result<Event> {
        let form = forms(&self.harness).into_iter().next().expect("one form at least");
        let request = self.harness.fake().sign(self.hook(Some(form)), message).expect("a known hook");
        let delivery = Delivery {
            headers: &request.headers,
            query: None,
            body: request.body(),
            received_at: self.harness.fake().now(),
        };
        let provider = self.harness.provider();
        let verified =
            provider.webhooks().verify(&delivery, &secrets(form, true)).expect("the proof is right");
        let inspected = provider.webhooks().inspect(&delivery);
        let parsed = provider.webhooks().parse(&verified);
        assert_eq!(parsed.as_ref().ok(), inspected.as_ref().ok(), "parse and inspect differ");
        parsed
    }
}

/// Each form that is claimed is accepted.
pub async fn every_form_of_proof_is_verified<H: Harness>() {
    let case = start::<H>().await;
    for form in forms(&case.harness) {
        assert_eq!(case.verify(&case.request(form), &secrets(form, true)), Ok(()), "{form:?}");
    }
    assert_eq!(super::requests(case.harness.fake()), 0, "verifying sends nothing");
}

/// A wrong secret, no secret and an empty secret accept nothing, signed or not.
pub async fn wrong_missing_and_empty_secrets_are_refused<H: Harness>() {
    let case = start::<H>().await;
    let empty =
        Secrets::new(SecretString::from(String::new())).with_signing(SecretString::from(String::new()));
    for form in forms(&case.harness) {
        let request = case.request(form);
        assert_eq!(case.verify(&request, &secrets(form, false)), Err(VerifyError::Mismatch), "{form:?}");
        assert!(case.verify(&request, &Secrets::none()).is_err(), "{form:?}: no secret");
        assert!(case.verify(&request, &empty).is_err(), "{form:?}: empty secret");
    }
    let unsigned = case.harness.fake().signed_request(&case.run, case.hook(None)).expect("a payload");
    for secrets in [Secrets::none(), empty, secrets(Form::Shared, true), secrets(Form::Signing, true)] {
        assert!(case.verify(&unsigned, &secrets).is_err(), "unsigned with {secrets:?}");
    }
}

/// Without each of its headers the proof is none; an empty one neither.
pub async fn missing_proof_is_refused<H: Harness>() {
    let case = start::<H>().await;
    for form in forms(&case.harness) {
        for name in case.proof_headers(form) {
            let mut request = case.request(form);
            request.headers.remove(&name);
            assert!(case.verify(&request, &secrets(form, true)).is_err(), "{form:?} without {name}");
            request.headers.insert(&name, HeaderValue::from_static(""));
            assert!(case.verify(&request, &secrets(form, true)).is_err(), "{form:?} with empty {name}");
        }
    }
}

/// A proof header that is there twice is ambiguous, whichever of the two is right.
pub async fn duplicate_proof_is_refused<H: Harness>() {
    let case = start::<H>().await;
    for form in forms(&case.harness) {
        for name in case.proof_headers(form) {
            let mut request = case.request(form);
            let value = request.headers.get(&name).cloned().expect("it is there");
            request.headers.append(&name, value);
            assert!(case.verify(&request, &secrets(form, true)).is_err(), "{form:?} with two {name}");
        }
    }
}

/// What proves a delivery at another forge proves nothing here, even with the right secret.
pub async fn proof_of_another_forge_is_refused<H: Harness>() {
    let case = start::<H>().await;
    for form in forms(&case.harness) {
        let own = case.proof_headers(form);
        let mut request = case.request(form);
        for name in &own {
            request.headers.remove(name);
        }
        let digest = hex::encode(hmac(SECRET.as_bytes(), &[request.body()]));
        let foreign: [(&'static str, String); 6] = [
            ("x-gitlab-token", SECRET.to_owned()),
            ("x-hub-signature-256", format!("sha256={digest}")),
            ("x-hub-signature", format!("sha256={digest}")),
            ("x-gitea-signature", digest.clone()),
            ("x-gitlab-signature", digest.clone()),
            ("authorization", format!("Bearer {SECRET}")),
        ];
        for (name, value) in foreign.iter().filter(|(name, _)| !own.iter().any(|header| header == name)) {
            put(&mut request.headers, name, value);
        }
        assert!(case.verify(&request, &secrets(form, true)).is_err(), "{form:?}");
    }
}

/// During a rotation both secrets are good.
pub async fn previous_secret_is_accepted<H: Harness>() {
    let case = start::<H>().await;
    for form in forms(&case.harness) {
        let both = match form {
            Form::Shared => Secrets::new(SecretString::from(OTHER.to_owned()))
                .with_shared(SecretString::from(SECRET.to_owned())),
            Form::Signing => Secrets::none()
                .with_signing(SecretString::from(signing_token(8)))
                .with_signing(SecretString::from(signing_token(7))),
        };
        assert_eq!(case.verify(&case.request(form), &both), Ok(()), "{form:?}");
    }
}

/// Where a time is signed, an hour ago and an hour ahead are refused; a minute is not.
pub async fn stale_time_is_refused<H: Harness>() {
    let case = start::<H>().await;
    if !harness_signs_time(&case.harness) {
        return;
    }
    let request = case.request(Form::Signing);
    let now = case.harness.fake().now();
    for (minutes, expected) in [(-60, false), (-1, true), (1, true), (60, false)] {
        let at = now.checked_add(SignedDuration::from_mins(minutes)).expect("a time");
        let result = case.verify_parts(&request.headers, request.body(), &secrets(Form::Signing, true), at);
        assert_eq!(result.is_ok(), expected, "{minutes} minutes: {result:?}");
    }
}

fn harness_signs_time<H: Harness>(harness: &H) -> bool {
    harness.provider().capabilities().signed_delivery_time
}

/// One changed byte, in the body where it is signed and in the proof always, is refused.
pub async fn flipped_byte_is_refused<H: Harness>() {
    let case = start::<H>().await;
    let has_hmac = harness_signs_body(&case.harness);
    let now = case.harness.fake().now();
    for form in forms(&case.harness) {
        let request = case.request(form);
        if form == Form::Signing || has_hmac {
            for position in [0, request.body().len() / 2, request.body().len() - 1] {
                let mut body = request.body().to_vec();
                if let Some(byte) = body.get_mut(position) {
                    *byte ^= 1;
                }
                let result = case.verify_parts(&request.headers, &body, &secrets(form, true), now);
                assert!(result.is_err(), "{form:?}: byte {position} flipped");
            }
        }
        for name in case.proof_headers(form) {
            let mut bytes = request.headers.get(&name).expect("it is there").as_bytes().to_vec();
            let middle = bytes.len() / 2;
            if let Some(byte) = bytes.get_mut(middle) {
                *byte = if *byte == b'0' { b'1' } else { b'0' };
            }
            let mut headers = request.headers.clone();
            headers.insert(&name, HeaderValue::from_bytes(&bytes).expect("a header value"));
            let result = case.verify_parts(&headers, request.body(), &secrets(form, true), now);
            assert!(result.is_err(), "{form:?}: {name} changed");
        }
    }
}

/// Whether the shared secret is the key of an HMAC rather than a repeated token.
fn harness_signs_body<H: Harness>(harness: &H) -> bool {
    let capabilities = harness.provider().capabilities();
    capabilities.signed_deliveries && !capabilities.token_deliveries
}

/// A hook that is known to be signed does not accept the shared token alone.
pub async fn no_downgrade_from_signatures<H: Harness>() {
    let case = start::<H>().await;
    let capabilities = case.harness.provider().capabilities();
    if !(capabilities.signed_delivery_time && capabilities.token_deliveries) {
        return;
    }
    let repo = shop(case.harness.fake());
    let setup =
        HookSetup::new("http://127.0.0.1:9/hook").with_secret(SECRET).with_signing_token(&signing_token(7));
    let hook = case.harness.fake().add_hook(&repo, &setup);
    let mut request = case.harness.fake().signed_request(&case.run, hook).expect("a payload");
    let both = secrets(Form::Shared, true).with_signing(SecretString::from(signing_token(7)));
    assert_eq!(case.verify(&request, &both), Ok(()));
    for name in case.proof_headers(Form::Signing) {
        request.headers.remove(name);
    }
    assert!(case.verify(&request, &both).is_err(), "the token alone was taken for a signature");
}

/// The forge's id of a delivery is read, and is the same when it is sent again; where it sends none, none is made up.
pub async fn delivery_id_survives_redelivery<H: Harness>() {
    let case = start::<H>().await;
    let receiver = crate::Receiver::start().await;
    let repo = crate::RepoHandle {
        id: case.run.repo_id,
        forge_id: case.harness.fake().repo_id(case.run.repo_id),
        full_name: "acme/shop".to_owned(),
    };
    let setup = HookSetup::new(receiver.url().as_str()).with_secret(SECRET);
    case.harness.fake().add_hook(&repo, &setup);
    let message = case.harness.fake().payload(&case.run).expect("a payload");
    let outcomes = case.harness.fake().deliver_message(&repo, &message).await;
    let first = outcomes.first().expect("one hook, one delivery");
    case.harness.fake().redeliver(&first.delivery_id).await.expect("it is known");
    let provider = case.harness.provider();
    let received = receiver.received();
    assert_eq!(received.len(), 2);
    for delivery in received {
        // Old versions of a forge may send no id at all; what they send has to be found.
        let is_sent = delivery.headers.values().any(|value| value.as_bytes() == first.delivery_id.as_bytes());
        let expected = is_sent.then(|| first.delivery_id.clone());
        assert_eq!(provider.webhooks().delivery_id(&delivery.headers), expected);
    }
}

/// A failed run is said to be one, with all that is needed to look at it.
pub async fn failed_run_triggers<H: Harness>() {
    let case = start::<H>().await;
    let event = case.parse(&case.harness.fake().payload(&case.run).expect("a payload")).expect("it is known");
    assert_eq!(event.forge, case.harness.fake().kind());
    assert_eq!(event.repo.as_deref(), Some("acme/shop"));
    assert_eq!(event.repo_id, Some(case.harness.fake().repo_id(case.run.repo_id)));
    assert_eq!(event.run_id, Some(case.run.forge_id.clone()));
    assert_eq!(event.sha.as_deref(), Some(case.run.sha.as_str()));
    assert_eq!(event.git_ref.as_deref(), Some("main"));
    if !case.harness.fake().tells_runs() {
        // A push says that there will be something to look at, and under which id.
        assert!(event.kind == EventKind::Push && event.triggers_rca && !event.terminal, "{event:?}");
        return;
    }
    assert_eq!(event.kind, EventKind::Run);
    assert_eq!(event.conclusion, Some(Conclusion::Failure));
    assert!(event.terminal && event.failed && event.triggers_rca, "{event:?}");
}

/// Green, running and cancelled runs are facts that trigger nothing.
pub async fn other_states_do_not_trigger<H: Harness>() {
    let case = start::<H>().await;
    if !case.harness.fake().tells_runs() {
        return;
    }
    for state in [State::Queued, State::Running, State::Success, State::Cancelled] {
        case.harness.fake().set_run_state(&case.run, state);
        let message = case.harness.fake().payload(&case.run).expect("a payload");
        let event = case.parse(&message).expect("it is known");
        assert_eq!(event.run_id, Some(case.run.forge_id.clone()));
        assert!(!event.failed && !event.triggers_rca, "{state:?}: {event:?}");
        assert_eq!(event.terminal, state.is_ended(), "{state:?}: {event:?}");
    }
}

/// An event about a job names the job and its run.
pub async fn job_events_name_their_job<H: Harness>() {
    let case = start::<H>().await;
    if !case.harness.fake().sends_job_events() {
        return;
    }
    let messages = case.harness.fake().messages(&case.run);
    let job = case.run.job_ids.first().expect("the run has a job").clone();
    let mut seen = false;
    for message in messages {
        let event = case.parse(&message).expect("it is known");
        if event.kind == EventKind::Job {
            seen = true;
            assert_eq!(event.job_id.as_ref(), Some(&job));
            assert_eq!(event.job_name.as_deref(), Some("test"));
            assert_eq!(event.run_id, Some(case.run.forge_id.clone()));
            assert!(event.failed && event.terminal);
        }
    }
    assert!(seen, "no payload was understood as a job event");
}

/// An event that nobody has heard of is read without an error and triggers nothing.
pub async fn unknown_events_are_harmless<H: Harness>() {
    let case = start::<H>().await;
    for body in ["{}", r#"{"object_kind":"comet","action":"passed","id":12}"#] {
        let event = case.parse(&Message::new("Comet Hook", "", body)).expect("unknown is no error");
        assert!(!event.triggers_rca && !event.failed, "{event:?}");
    }
}

/// A body that is not what the forge sends is an error, not a panic.
pub async fn broken_bodies_are_errors<H: Harness>() {
    let case = start::<H>().await;
    let event = case.harness.fake().payload(&case.run).expect("a payload").event;
    let deep = "[".repeat(10_000);
    for body in ["", "not json", "{\"object_kind\":", "[1,2,3]", "null", "\u{0}\u{1}", deep.as_str()] {
        let result = case.parse(&Message::new(&event, "", body.to_owned()));
        assert!(result.is_err(), "{:.20} was taken for an event: {result:?}", body);
    }
}
