//! The compiled file and the matching, driven by small feeds written here.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test that cannot go on says where"
)]

mod applications;
mod damage;
mod kernels;
mod verdicts;

use std::path::PathBuf;

use muster_core::advisory::{Channel, Form, Item, Record, Sink as _, Statement, Status};
use muster_core::fact::{Database, Facts, Package, Reading, Subscription};
use muster_core::finding::{About, AdvisoryFinding, Finding};
use muster_core::verdict::Verdict;
use muster_match::AdvisoryFile;
use muster_match::compile::Compiler;
use muster_match::matching;
use muster_match::section::Section;

/// A record about one CVE.
pub(crate) fn cve(id: &'static str, statements: Vec<Statement<'static>>) -> Record<'static> {
    Record {
        id: id.into(),
        form: Form::Vulnerability,
        cves: vec![id.into()],
        statements,
        ..Record::default()
    }
}

/// A notice that closes some CVEs.
pub(crate) fn notice(
    id: &'static str,
    cves: &[&'static str],
    statements: Vec<Statement<'static>>,
) -> Record<'static> {
    let cves = cves.iter().map(|c| (*c).into()).collect();
    Record { id: id.into(), form: Form::Notice, cves, statements, ..Record::default() }
}

/// `release package fixed`, fixed in the release itself.
pub(crate) fn fixed(
    release: &'static str,
    package: &'static str,
    version: &'static str,
) -> Statement<'static> {
    Statement {
        release: release.into(),
        package: package.into(),
        status: Status::Fixed,
        fixed: Some(version.into()),
        ..Statement::default()
    }
}

/// `release package word`, without a fix.
pub(crate) fn unfixed(
    release: &'static str,
    package: &'static str,
    status: Status,
    word: &'static str,
) -> Statement<'static> {
    Statement {
        release: release.into(),
        package: package.into(),
        status,
        word: word.into(),
        ..Statement::default()
    }
}

pub(crate) fn in_channel(channel: Channel, statement: Statement<'static>) -> Statement<'static> {
    Statement { channel, ..statement }
}

/// A folder that is gone after the test, and a compiled file in it.
pub(crate) struct Compiled {
    pub(crate) folder: tempfile::TempDir,
}

impl Compiled {
    pub(crate) fn of(records: Vec<Record<'static>>) -> Self {
        Self::of_items(records.into_iter().map(Item::Record).collect())
    }

    pub(crate) fn of_items(items: Vec<Item<'static>>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut compiler = Compiler::new(tempfile::tempfile().unwrap()).unwrap();
        compiler.begin_feed("test");
        for item in items {
            compiler.item(item);
        }
        let mut file = std::fs::File::create_new(folder.path().join("a.adv")).unwrap();
        compiler.finish(&mut file, None).unwrap();
        Self { folder }
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.folder.path().join("a.adv")
    }

    pub(crate) fn open(&self) -> AdvisoryFile {
        AdvisoryFile::open(&self.path()).unwrap()
    }

    pub(crate) fn findings(&self, release: &str, facts: &Facts) -> Vec<Finding> {
        let bytes = self.open().release(release).unwrap().unwrap();
        matching::judge(&Section::new(&bytes).unwrap(), Database::Dpkg, facts, true).findings
    }

    /// Returns each verdict by an advisory as `id source verdict`, in order.
    pub(crate) fn verdicts(&self, release: &str, facts: &Facts) -> Vec<String> {
        let mut lines: Vec<String> = self
            .findings(release, facts)
            .iter()
            .filter(|f| matches!(f.about, About::Advisory(_)))
            .map(|f| format!("{} {} {}", f.id, about(f).patch.source, f.verdict.name()))
            .collect();
        lines.sort();
        lines
    }
}

pub(crate) fn about(finding: &Finding) -> &AdvisoryFinding {
    let About::Advisory(advisory) = &finding.about else {
        panic!("not by an advisory: {finding:?}")
    };
    advisory
}

/// A dpkg server with these packages: `name version`, or `name version source source-version`.
pub(crate) fn server(packages: &[&str]) -> Facts {
    let packages = packages
        .iter()
        .map(|line| {
            let words: Vec<&str> = line.split(' ').collect();
            Package {
                name: words[0].into(),
                architecture: "amd64".into(),
                version: words[1].into(),
                source: words.get(2).map(|s| (*s).into()),
                source_version: words.get(3).map(|s| (*s).into()),
                ..Package::default()
            }
        })
        .collect();
    Facts { database: Reading::Found(Database::Dpkg), packages, ..Facts::default() }
}

pub(crate) fn attached(facts: Facts, services: &[&str]) -> Facts {
    let services = services.iter().map(|s| (*s).into()).collect();
    Facts {
        subscription: Reading::Found(Subscription {
            attached: true,
            services,
            expires: None,
            source: "test".into(),
        }),
        ..facts
    }
}

pub(crate) const MISSING: Verdict = Verdict::Missing;
