//! Adapters to the network, each in a folder named for what it wraps.
//!
//! Nothing here decides: what to fetch, from where and within which limits is an argument, and so
//! are the time, the environment and the version that the user agent names.

mod digest;
pub mod http;
pub mod ssh;
