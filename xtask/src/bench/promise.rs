//! A figure, its limit, and whether it is kept.

use std::fmt;

use serde::Serialize;

/// Whether a limit decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// A size, an amount of memory, a ratio, a count: missing it fails the run.
    Firm,
    /// A time on a machine that others use too: missing it is shown.
    Timed,
}

/// One figure.
#[derive(Clone, Debug, Serialize)]
pub struct Line {
    scenario: &'static str,
    figure: String,
    value: f64,
    unit: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    limit: Option<Limit>,
    #[serde(skip_serializing_if = "Option::is_none")]
    kept: Option<bool>,
}

#[derive(Clone, Copy, Debug, Serialize)]
struct Limit {
    value: f64,
    at_most: bool,
    kind: Kind,
}

impl Line {
    /// Makes a figure without a limit.
    pub fn new(
        scenario: &'static str,
        figure: impl Into<String>,
        value: f64,
        unit: &'static str,
    ) -> Self {
        Self { scenario, figure: figure.into(), value, unit, limit: None, kept: None }
    }

    /// Sets the limit that the figure must not exceed.
    pub fn at_most(self, limit: f64, kind: Kind) -> Self {
        let kept = self.value <= limit;
        Self { limit: Some(Limit { value: limit, at_most: true, kind }), kept: Some(kept), ..self }
    }

    /// Sets the limit that the figure must reach.
    pub fn at_least(self, limit: f64, kind: Kind) -> Self {
        let kept = self.value >= limit;
        Self { limit: Some(Limit { value: limit, at_most: false, kind }), kept: Some(kept), ..self }
    }

    fn fails(&self) -> bool {
        self.kept == Some(false) && self.limit.is_some_and(|l| l.kind == Kind::Firm)
    }
}

/// Every figure of a run.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Table {
    figures: Vec<Line>,
    not_run: Vec<String>,
}

impl Table {
    /// Adds a figure.
    pub fn push(&mut self, line: Line) {
        self.figures.push(line);
    }

    /// Notes what could not be measured for want of something.
    pub fn not_run(&mut self, scenario: &str, needs: &str) {
        self.not_run.push(format!("not run: needs {needs} ({scenario})"));
    }

    /// Tells whether every promise that decides is kept.
    pub fn is_kept(&self) -> bool {
        !self.figures.iter().any(Line::fails)
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for line in &self.figures {
            write!(
                f,
                "{:27}{:32}{:>10} {:4}",
                line.scenario,
                line.figure,
                rounded(line.value),
                line.unit
            )?;
            match (line.limit, line.kept) {
                (Some(limit), Some(kept)) => {
                    let sign = if limit.at_most { '≤' } else { '≥' };
                    let word = if kept { "kept" } else { "MISSED" };
                    writeln!(f, "  {sign} {:<8} {word}", rounded(limit.value))?;
                }
                _ => writeln!(f)?,
            }
        }
        self.not_run.iter().try_for_each(|line| writeln!(f, "{line}"))
    }
}

fn rounded(value: f64) -> String {
    let places = if value.fract() == 0.0 || value >= 100.0 { 0 } else { 2 };
    format!("{value:.places$}")
}

/// Reads lines of the form `what   12.3 ns`.
pub fn nanoseconds(output: &str) -> Vec<(String, f64)> {
    let read = |line: &str| {
        let (what, figure) = line.strip_suffix(" ns")?.trim_end().rsplit_once(' ')?;
        Some((what.trim().to_owned(), figure.parse().ok()?))
    };
    output.lines().filter_map(read).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_firm_promise_fails_the_run() {
        let mut table = Table::default();
        table.push(Line::new("a", "CPU", 9.0, "ms").at_most(5.0, Kind::Timed));
        assert!(table.is_kept());
        assert!(table.to_string().contains("≤ 5        MISSED"));
        table.push(Line::new("a", "ratio", 60.0, "×").at_least(70.0, Kind::Firm));
        assert!(!table.is_kept());
    }

    #[test]
    fn the_figures_of_the_example_are_read() {
        let output = "dpkg, from two texts                95.1 ns\ndpkg, by key    1234.5 ns\nnothing here\n";
        let got = nanoseconds(output);
        assert_eq!(
            got,
            [("dpkg, from two texts".to_owned(), 95.1), ("dpkg, by key".to_owned(), 1234.5)]
        );
    }
}
