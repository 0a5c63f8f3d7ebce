#![doc = include_str!("../README.md")]

mod channel;
mod chat;
mod config;
mod mail;
mod matrix;
mod message;
mod slack;
mod telegram;
mod telegram_bot;
mod webhook;

pub use channel::{Notifier, Outlets, Place, Sent};
pub use config::{ChannelConfig, ChannelKind};
pub use mail::MailServer;
pub use message::{ExcerptLine, Link, Message, Tone};
pub use telegram_bot::TelegramBot;
pub use webhook::new_signing_secret;
