//! The tests of muster-net: `muster feed pull` against a server of our own on loopback that
//! misbehaves in every way. Nothing here reaches another machine.

#![expect(clippy::unwrap_used, reason = "the steps of a test stop it where they fail")]

mod feeds;
mod pull;
mod refusals;
mod server;
