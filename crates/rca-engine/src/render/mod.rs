//! A report as text: for people at a terminal, and as Markdown that is safe at every forge.

mod human;
mod markdown;

pub use human::HumanOptions;
