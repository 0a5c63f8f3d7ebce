//! A report in other forms: for people at a terminal, as Markdown that is safe at every forge, as
//! SARIF and as JUnit XML.

mod human;
mod junit;
mod markdown;
mod sarif;

pub use human::HumanOptions;
