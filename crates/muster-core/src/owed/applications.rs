//! The branches of a web application, and whether upstream still mends them: from the calendar lines of its product.
//!
//! A version belongs to the cycle that it begins with, the longest of several (`2.568` before `2`). A version older than
//! every cycle is of a branch that ended before the calendar begins. It judges upstream's own releases only: what a
//! distribution packages has the distribution's support.

use alloc::string::String;
use alloc::vec::Vec;

use muster_version::Scheme;

use crate::advisory::SupportLine;
use crate::time::Date;

/// The calendar lines of one product.
#[derive(Clone, Debug)]
pub struct Branches<'c> {
    order: Scheme,
    lines: Vec<&'c SupportLine<'c>>,
}

/// How upstream supports the branch of a version on a day.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Upstream {
    /// It is mended.
    Supported,
    /// It is not mended any more; the last day, where the calendar tells one.
    Ended(Option<Date>),
    /// The calendar does not tell.
    Unknown,
}

impl<'c> Branches<'c> {
    /// Gathers the lines of `product`.
    pub fn of(product: &str, order: Scheme, lines: &'c [SupportLine<'c>]) -> Self {
        Self { order, lines: lines.iter().filter(|l| l.product == product).collect() }
    }

    /// Tells whether the calendar knows no branch at all.
    pub fn is_empty(&self) -> bool {
        self.lines.is_empty()
    }

    /// Returns the branch that a version is of.
    pub fn branch(&self, version: &str) -> Option<&'c SupportLine<'c>> {
        self.lines
            .iter()
            .filter(|line| is_within(&line.version, version))
            .max_by_key(|line| line.version.len())
            .copied()
    }

    /// Judges how upstream supports the branch of a version.
    pub fn standing(&self, version: &str, today: Date) -> Upstream {
        if let Some(line) = self.branch(version) {
            return upstream(line, today);
        }
        let newer =
            |line: &&SupportLine<'_>| self.order.compare_lenient(&line.version, version).is_gt();
        let known = self.order.is_valid(version) && !self.lines.is_empty();
        if known && self.lines.iter().all(newer) {
            return Upstream::Ended(None);
        }
        Upstream::Unknown
    }

    /// Returns the supported branches, the oldest first.
    pub fn supported(&self, today: Date) -> Vec<&'c SupportLine<'c>> {
        let mut lines: Vec<_> = self
            .lines
            .iter()
            .filter(|line| upstream(line, today) == Upstream::Supported)
            .filter(|line| line.released.is_none_or(|day| day <= today))
            .copied()
            .collect();
        lines.sort_by(|a, b| self.order.compare_lenient(&a.version, &b.version));
        lines
    }

    /// Returns the newest version of every branch.
    pub fn latest(&self) -> impl Iterator<Item = &'c str> + use<'c, '_> {
        self.lines.iter().filter_map(|line| line.latest.as_deref())
    }
}

/// Tells whether a version begins with the cycle: `1.39.1` is of `1.39`, `1.390` is not.
pub fn is_within(cycle: &str, version: &str) -> bool {
    version
        .strip_prefix(cycle)
        .is_some_and(|rest| !cycle.is_empty() && !rest.starts_with(|c: char| c.is_ascii_digit()))
}

/// Returns the version of a module without the core that older ones name before it: `8.x-1.5` is `1.5`, for Drupal 8.
pub fn without_core(version: &str) -> (Option<u32>, String) {
    let parts = version.split_once(".x-").and_then(|(core, rest)| Some((core.parse().ok()?, rest)));
    match parts {
        Some((core, rest)) => (Some(core), rest.into()),
        None => (None, version.into()),
    }
}

fn upstream(line: &SupportLine<'_>, today: Date) -> Upstream {
    match line.ends {
        Some(ends) if ends < today => Upstream::Ended(Some(ends)),
        None if line.ended => Upstream::Ended(None),
        Some(_) | None => Upstream::Supported,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(version: &'static str, ends: Option<Date>, ended: bool) -> SupportLine<'static> {
        SupportLine {
            product: "wiki".into(),
            version: version.into(),
            codename: None,
            released: None,
            ends,
            paid_until: None,
            ended,
            latest: None,
        }
    }

    #[test]
    fn a_version_is_of_the_longest_cycle_that_it_begins_with() {
        let lines = [
            line("1", None, false),
            line("1.35", Some(Date::constant(2023, 12, 21)), false),
            line("1.39", Some(Date::constant(2025, 12, 31)), false),
            line("1.43", Some(Date::constant(2027, 12, 31)), false),
            line("1.20", None, true),
        ];
        let branches = Branches::of("wiki", Scheme::Composer, &lines);
        let today = Date::constant(2026, 11, 23);
        for (version, standing) in [
            ("1.39.1", Upstream::Ended(Some(Date::constant(2025, 12, 31)))),
            ("1.43.0-rc.1", Upstream::Supported),
            ("1.390.1", Upstream::Supported),
            ("1.20.5", Upstream::Ended(None)),
            ("0.9", Upstream::Ended(None)),
            ("2.0", Upstream::Unknown),
            ("not a version", Upstream::Unknown),
        ] {
            assert_eq!(branches.standing(version, today), standing, "{version}");
        }
        let supported: Vec<&str> = branches.supported(today).iter().map(|l| &*l.version).collect();
        assert_eq!(supported, ["1", "1.43"]);
        // The last day of support is one of support.
        assert_eq!(branches.standing("1.39.1", Date::constant(2025, 12, 31)), Upstream::Supported);
        assert_eq!(
            Branches::of("other", Scheme::Composer, &lines).standing("0.9", today),
            Upstream::Unknown
        );
    }

    #[test]
    fn a_module_names_its_core_before_its_version() {
        assert_eq!(without_core("8.x-1.5"), (Some(8), "1.5".into()));
        assert_eq!(without_core("7.x-3.0-beta1"), (Some(7), "3.0-beta1".into()));
        assert_eq!(without_core("2.0.4"), (None, "2.0.4".into()));
    }
}
