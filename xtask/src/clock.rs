//! How long a task takes: the only place here that asks a clock.

use std::time::{Duration, Instant};

/// Runs something, and tells how long it took.
#[expect(clippy::disallowed_methods, reason = "durations of tasks are what a person wants to see")]
pub fn timed<T>(work: impl FnOnce() -> T) -> (T, Duration) {
    let start = Instant::now();
    let result = work();
    (result, start.elapsed())
}
