//! Channels over HTTP: what is told to whom, once, also when chats are down, refuse or answer rubbish.

mod digest;
mod sent_in;
mod setup;
mod sink;
mod telegram_link;
mod told;
mod unhappy;
