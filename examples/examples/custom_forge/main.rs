//! An adapter for a forge that this repository does not know, and the proof that it keeps its promises:
//! `cargo run -p examples --example custom_forge`, `cargo test -p examples --example custom_forge`.
//!
//! The forge is imaginary and called Anvil: repositories in pages by number, a bearer token, hooks that repeat their
//! secret, runs that are told by deliveries. `anvil.rs` is all that an adapter of it takes; `fake.rs` is how Anvil
//! behaves, for the tests.
#![expect(clippy::print_stdout, reason = "an example prints its result")]

mod anvil;
mod fake;

use std::sync::Arc;

use anvil::Anvil;
use fake::AnvilRules;
use forge_core::{Delivery, Provider as _, Secrets, StaticCredential};
use forge_testkit::{Fake, HookSetup, JobSpec, RunSpec, conformance::http_client};
use futures_util::TryStreamExt as _;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let fake = Fake::start_own(AnvilRules).await?;
    let repo = fake.add_repo("acme/shop");
    fake.add_repo("acme/library");

    let anvil = Anvil::new(http_client());
    let token = StaticCredential::token(fake.token());
    let client = anvil.connect(&fake.instance(), Arc::new(token))?;
    println!("signed in as {}", client.whoami().await?.account.login);
    let mut repos = client.repos().list_repos();
    while let Some(repo) = repos.try_next().await? {
        println!("{:>6}  {}", repo.id, repo.full_name);
    }

    // A run breaks, and Anvil tells the hook.
    let run = fake.add_run(&repo, &RunSpec::new(vec![JobSpec::failed("test", "boom\n")]));
    let hook = fake.add_hook(&repo, &HookSetup::new("http://127.0.0.1:9/hook").with_secret("s3cret"));
    let sent = fake.signed_request(&run, hook).ok_or_else(|| anyhow::anyhow!("nothing was sent"))?;
    let delivery =
        Delivery { headers: &sent.headers, query: None, body: sent.body(), received_at: fake.now() };
    let verified = anvil.webhooks().verify(&delivery, &Secrets::new("s3cret".into()))?;
    let event = anvil.webhooks().parse(&verified)?;
    println!("run {:?} of {:?}: failed {}", event.run_id, event.repo, event.failed);
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use forge_core::Provider;
    use forge_testkit::{
        Fake,
        conformance::{Harness, http_client},
    };

    use super::{Anvil, AnvilRules};

    struct Bench {
        fake: Fake,
        anvil: Arc<Anvil>,
    }

    #[async_trait::async_trait]
    impl Harness for Bench {
        async fn start() -> Self {
            let fake = Fake::start_own(AnvilRules).await.expect("a loopback port");
            Self { fake, anvil: Arc::new(Anvil::new(http_client())) }
        }

        fn provider(&self) -> Arc<dyn Provider> {
            Arc::clone(&self.anvil) as Arc<dyn Provider>
        }

        fn fake(&self) -> &Fake {
            &self.fake
        }
    }

    // The suite that the five adapters of this repository pass too.
    forge_testkit::conformance!(Bench);

    #[test]
    fn the_program_runs() -> anyhow::Result<()> {
        super::main()
    }
}
