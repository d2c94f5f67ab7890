//! A line on standard error that says how far a long command is, on a terminal only.

use std::io::IsTerminal as _;

use indicatif::{ProgressBar, ProgressStyle};

/// A progress line.
pub(crate) struct Progress(ProgressBar);

impl Progress {
    /// Begins one over `total` bytes; it stays silent where nobody watches.
    pub(crate) fn bytes(total: u64) -> Self {
        if !std::io::stderr().is_terminal() {
            return Self(ProgressBar::hidden());
        }
        let bar = ProgressBar::new(total);
        let style = ProgressStyle::with_template("{bar:24} {bytes}/{total_bytes} {wide_msg}");
        if let Ok(style) = style {
            bar.set_style(style);
        }
        Self(bar)
    }

    /// Begins one over so many servers.
    pub(crate) fn count(total: u64) -> Self {
        if !std::io::stderr().is_terminal() {
            return Self(ProgressBar::hidden());
        }
        let bar = ProgressBar::new(total);
        let style = ProgressStyle::with_template("{bar:24} {pos}/{len} servers {wide_msg}");
        if let Ok(style) = style {
            bar.set_style(style);
        }
        Self(bar)
    }

    /// Does something that writes to the terminal too.
    pub(crate) fn aside<T>(&self, work: impl FnOnce() -> T) -> T {
        self.0.suspend(work)
    }

    /// Begins one for work whose size is not known.
    pub(crate) fn files() -> Self {
        let bar = if std::io::stderr().is_terminal() {
            ProgressBar::new_spinner()
        } else {
            ProgressBar::hidden()
        };
        Self(bar)
    }

    /// Says what is being worked on.
    pub(crate) fn on(&self, what: &str) {
        self.0.set_message(muster_core::text::for_terminal(what).into_owned());
    }

    /// Says how far it is.
    pub(crate) fn at(&self, done: u64) {
        self.0.set_position(done);
    }

    /// Takes the line away.
    pub(crate) fn end(&self) {
        self.0.finish_and_clear();
    }
}
