//! The shape of the repository, held by a test: what each rule finds wrong is a line that says where and why.
//!
//! Rules read files and nothing else. One that needs to know the code better than its text tells is not made here.

mod arrows;
mod documents;
mod licences;
pub(crate) mod rooms;
mod sources;

use std::fmt;
use std::path::PathBuf;

use crate::codegen;
use crate::repository::Repository;

/// Something out of order.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Fault {
    /// The file.
    pub path: PathBuf,
    /// The line, counted from 1, where there is one.
    pub line: Option<usize>,
    /// What is wrong, and what would be right.
    pub what: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            Some(line) => write!(f, "{}:{line}: {}", self.path.display(), self.what),
            None => write!(f, "{}: {}", self.path.display(), self.what),
        }
    }
}

/// What the rules found.
#[derive(Clone, Debug, Default)]
pub struct Findings {
    /// What must be put in order.
    pub faults: Vec<Fault>,
    /// What is only named: files that are getting long.
    pub remarks: Vec<Fault>,
}

impl Findings {
    fn fault(&mut self, path: impl Into<PathBuf>, line: Option<usize>, what: impl Into<String>) {
        self.faults.push(Fault { path: path.into(), line, what: what.into() });
    }

    fn remark(&mut self, path: impl Into<PathBuf>, what: impl Into<String>) {
        self.remarks.push(Fault { path: path.into(), line: None, what: what.into() });
    }
}

/// Holds every rule against a checkout.
pub fn check(repository: &Repository) -> anyhow::Result<Findings> {
    let files = repository.files()?;
    let mut findings = Findings::default();
    arrows::check(repository, &files, &mut findings)?;
    sources::check(repository, &files, &mut findings)?;
    rooms::check(repository, &files, &mut findings)?;
    documents::check(repository, &mut findings)?;
    licences::check(repository, &mut findings)?;
    for page in codegen::stale(repository, &codegen::from_sources(repository)?) {
        findings.fault(&page.path, None, "is stale: run `cargo xtask codegen`");
    }
    findings.faults.sort();
    Ok(findings)
}
