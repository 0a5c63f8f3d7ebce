//! Channels over HTTP: what is told to whom, once, also when chats are down, refuse or answer rubbish.

mod crash;
mod digest;
mod postgres;
mod sent_in;
mod sent_in_green;
mod setup;
mod sign_in_mail;
pub(crate) mod sink;
mod telegram_link;
mod threads;
mod told;
mod unhappy;
mod wire;
