//! Over HTTP: what Muster asks of the servers of others.

pub mod pull;
