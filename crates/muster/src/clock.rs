//! The one clock. Everything else is told what time it is.

use muster_core::time::Instant;

/// Returns the time that `--now` gives, else the system's.
#[expect(clippy::disallowed_methods, reason = "this is the one clock")]
pub(crate) fn now(told: Option<Instant>) -> Instant {
    told.unwrap_or_else(|| {
        let since =
            std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        i64::try_from(since.as_secs())
            .ok()
            .and_then(|s| Instant::from_second(s).ok())
            .unwrap_or(Instant::UNIX_EPOCH)
    })
}
