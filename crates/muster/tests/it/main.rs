//! The executable as a person runs it: arguments, files and pipes in; bytes and an exit status out.
//!
//! Everything that is read here is written here: small roots, and feeds in their vendors' forms with words of our own.
//! Nothing of the crates' insides is used.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test that cannot do its own part ends there, or says what it was not run for"
)]

mod answers;
mod bad_feeds;
mod bad_roots;
mod beside;
mod build;
mod compare;
mod containers;
mod explain;
mod feeds;
mod formats;
mod golden;
mod indices;
mod judged;
mod lamp;
mod over_ssh;
mod packaged;
mod runs;
mod servers;
mod signature;
mod ssh_accounts;
