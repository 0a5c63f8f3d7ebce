//! One file for each family of failures. Each file begins with what it recognises, why, and what to do.

mod generic;

/// Compilers, linkers, build tools and linters.
mod build {
    pub(super) mod go_build;
    pub(super) mod javascript_build;
    pub(super) mod jvm_build;
    pub(super) mod linters;
    pub(super) mod more_compilers;
    pub(super) mod more_linters;
    pub(super) mod native;
    pub(super) mod other_compilers;
    pub(super) mod quality;
    pub(super) mod rustc;
    pub(super) mod scanners;
}

/// Shells, files and settings.
mod config {
    pub(super) mod ci;
    pub(super) mod shell;
}

/// Package managers.
mod dependency {
    pub(super) mod more_packages;
    pub(super) mod packages;
}

/// Machines, networks, containers and source hosting.
mod infra {
    pub(super) mod containers;
    pub(super) mod databases;
    pub(super) mod deployment;
    pub(super) mod network;
    pub(super) mod resources;
    pub(super) mod source;
}

/// Test runners.
mod test {
    pub(super) mod functional_runners;
    pub(super) mod go_tests;
    pub(super) mod javascript;
    pub(super) mod jvm;
    pub(super) mod more_runners;
    pub(super) mod native_runners;
    pub(super) mod other_runners;
    pub(super) mod pytest;
    pub(super) mod rust_tests;
    pub(super) mod script_runners;
    pub(super) mod unittest;
}

use sha2::{Digest as _, Sha256};

use crate::rules::Rule;

/// A hash of all that the rules say, in their order.
pub(crate) fn digest() -> String {
    digest_of(ALL.iter().copied().flatten())
}

fn digest_of<'rule>(rules: impl Iterator<Item = &'rule Rule>) -> String {
    let mut hash = Sha256::new();
    for rule in rules {
        let text = format!("{rule:?}");
        hash.update((text.len() as u64).to_be_bytes());
        hash.update(text.as_bytes());
    }
    hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The rules of all detectors. Of equally heavy rules on one line the first wins.
pub(crate) const ALL: &[&[Rule]] = &[
    test::pytest::RULES,
    test::unittest::RULES,
    test::rust_tests::RULES,
    test::go_tests::RULES,
    test::javascript::RULES,
    test::jvm::RULES,
    test::other_runners::RULES,
    test::more_runners::RULES,
    test::native_runners::RULES,
    test::script_runners::RULES,
    test::functional_runners::RULES,
    build::rustc::RULES,
    build::native::RULES,
    build::jvm_build::RULES,
    build::go_build::RULES,
    build::javascript_build::RULES,
    build::linters::RULES,
    build::quality::RULES,
    build::other_compilers::RULES,
    build::more_compilers::RULES,
    build::more_linters::RULES,
    build::scanners::RULES,
    dependency::packages::RULES,
    dependency::more_packages::RULES,
    infra::resources::RULES,
    infra::network::RULES,
    infra::source::RULES,
    infra::containers::RULES,
    infra::deployment::RULES,
    infra::databases::RULES,
    config::shell::RULES,
    config::ci::RULES,
    generic::RULES,
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_change_of_a_rule_is_another_digest() {
        let rules = || ALL.iter().copied().flatten();
        let known = digest_of(rules());
        assert_eq!((known.len(), &known), (64, &digest()));
        let changed = |change: fn(&mut Rule)| {
            let mut all: Vec<Rule> = rules().copied().collect();
            change(all.first_mut().expect("there are rules"));
            digest_of(all.iter())
        };
        assert_ne!(known, changed(|rule| rule.weight += 1));
        assert_ne!(known, changed(|rule| rule.pattern = "another"));
        assert_ne!(known, changed(|rule| rule.after += 1));
        assert_ne!(known, digest_of(rules().skip(1)));
    }
}
