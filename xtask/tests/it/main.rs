//! The shape of the repository, and the corpora of the fuzzer, under plain `cargo test`.

mod corpus;
mod tidy;
mod webapps;
