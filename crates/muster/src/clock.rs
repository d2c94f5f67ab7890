//! The one clock. Everything else is told what time it is.

use muster_core::time::Instant;

/// Returns the time that `--now` gives, else the system's.
#[expect(clippy::disallowed_methods, reason = "this is the one clock")]
pub(crate) fn now(told: Option<Instant>) -> Instant {
    told.unwrap_or_else(|| Instant::try_from(std::time::SystemTime::now()).unwrap_or(Instant::UNIX_EPOCH))
}
