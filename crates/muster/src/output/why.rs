//! `--why ID`: how a verdict was reached: the vendor's records, the versions compared, the rule.

use std::io::Write as _;

use anyhow::bail;
use muster_core::finding::{About, Finding};
use muster_core::text::for_terminal;
use muster_match::AdvisoryFile;

use super::table::wrap;
use crate::report::{self, Report};

/// Returns the findings that an id names: an advisory, a CVE, a source or a binary package, a finding's own id.
pub(crate) fn named<'r>(report: &'r Report, id: &str) -> Vec<&'r Finding> {
    report.findings.iter().filter(|f| is_named(f, id)).collect()
}

/// Explains every finding that an id names: an advisory, a CVE, a source or a binary package, a finding's own id.
pub(crate) fn write(report: &Report, file: Option<&AdvisoryFile>, id: &str) -> anyhow::Result<()> {
    let named = named(report, id);
    if named.is_empty() {
        bail!(
            "no finding of this inspection is named {id}; --all also lists what is fixed and not affected"
        );
    }
    let mut out = crate::output::data()?;
    for finding in named {
        writeln!(out, "{}  {}", for_terminal(&finding.id), finding.verdict.name())?;
        for line in wrap(&for_terminal(&finding.title), 76) {
            writeln!(out, "  {line}")?;
        }
        if let About::Advisory(advisory) = &finding.about {
            writeln!(
                out,
                "  rule: {} ({})",
                advisory.patch.rule.name(),
                advisory.patch.rule.sentence()
            )?;
            writeln!(
                out,
                "  channel: {}; the vendor's word: {}",
                advisory.patch.channel.name(),
                for_terminal(&advisory.patch.word)
            )?;
            for package in advisory.patch.packages.iter() {
                let fixed = package.fixed.as_deref().unwrap_or("none");
                let text = format!(
                    "{} ({}): installed {}, fixed {fixed}",
                    package.name, package.architecture, package.installed
                );
                writeln!(out, "  {}", for_terminal(&text))?;
            }
            write_records(&mut out, report, file, finding, &advisory.patch.source)?;
        }
        if !finding.action.is_empty() {
            writeln!(out, "  do: {}", for_terminal(&finding.action))?;
        }
        writeln!(out)?;
    }
    out.flush()?;
    Ok(())
}

/// Writes what each record of the advisory file says of this source in this release.
fn write_records(
    out: &mut dyn std::io::Write,
    report: &Report,
    file: Option<&AdvisoryFile>,
    finding: &Finding,
    source: &str,
) -> anyhow::Result<()> {
    let Some(file) = file else { return Ok(()) };
    let release =
        report.facts.os.found().and_then(muster_core::fact::Os::release_id).unwrap_or_default();
    let mut lines = Vec::new();
    file.records(&finding.id, &mut |feed, record| {
        let of_release = record.statements.iter().filter(|s| s.release == release);
        for statement in
            of_release.filter(|s| s.package == source || source_names(finding, &s.package))
        {
            let fixed =
                statement.fixed.as_deref().map_or(String::new(), |f| format!(", fixed in {f}"));
            let word = if statement.word.is_empty() {
                format!("{:?}", statement.status).to_lowercase()
            } else {
                statement.word.to_string()
            };
            lines.push(format!(
                "{feed}, record {}: {} {}: {word}{fixed}",
                record.id, statement.release, statement.package
            ));
        }
    })?;
    lines.sort();
    lines.dedup();
    for line in lines {
        writeln!(out, "  source: {}", for_terminal(&line))?;
    }
    Ok(())
}

fn source_names(finding: &Finding, package: &str) -> bool {
    matches!(&finding.about, About::Advisory(a) if a.patch.packages.iter().any(|p| *p.name == *package))
}

fn is_named(finding: &Finding, id: &str) -> bool {
    let same = |text: &str| text.eq_ignore_ascii_case(id);
    let in_about = match &finding.about {
        About::Advisory(a) => {
            a.cves.iter().any(|c| same(c)) || a.patch.packages.iter().any(|p| same(&p.name))
        }
        About::ArchiveUpdate(u) => {
            u.packages.iter().any(|p| same(&p.name)) || u.advisories.iter().any(|a| same(a))
        }
        About::WebApplication(a) => {
            same(&a.product) || same(&a.path) || a.cves.iter().any(|c| same(c))
        }
        About::LanguagePackage(l) => same(&l.name) || l.cves.iter().any(|c| same(c)),
        About::Restart(r) => r.unit.as_deref().is_some_and(same) || same(&r.process),
        About::CleartextService(c) => same(&c.protocol) || c.unit.as_deref().is_some_and(same),
        About::Container(c) => same(&c.container.name),
        About::ThirdParty(t) => t.packages.iter().any(|p| same(&p.name)),
        _ => false,
    };
    same(&finding.id) || report::source(finding).is_some_and(same) || in_about
}
