//! What the documents promise: a changelog that goes on, and two commands that are all a newcomer types.

use super::Findings;
use crate::repository::Repository;

/// The commands of the README, in order.
pub(super) const COMMANDS: [&str; 2] = ["cargo run --release -- inspect", "cargo xtask test"];

pub(super) fn check(repository: &Repository, findings: &mut Findings) -> anyhow::Result<()> {
    let changelog = repository.read("CHANGELOG.md")?;
    if !changelog.lines().any(|l| l.starts_with("## [Unreleased]")) {
        findings.fault("CHANGELOG.md", None, "has no section `## [Unreleased]`");
    }
    let readme = repository.read("README.md")?;
    let commands = commands(&readme);
    if commands != COMMANDS {
        findings.fault(
            "README.md",
            None,
            format!("sets up with {commands:?}, and not with {COMMANDS:?}"),
        );
    }
    for page in ["ARCHITECTURE.md", "CONTRIBUTING.md", "SECURITY.md", "STYLE.md", "LICENSE"] {
        if !repository.path(page).is_file() {
            findings.fault(page, None, "is missing");
        }
    }
    Ok(())
}

/// Returns the commands of the code blocks that are marked `sh`, up to the first heading after them.
fn commands(readme: &str) -> Vec<&str> {
    let mut found = Vec::new();
    let mut inside = false;
    for line in readme.lines() {
        match line {
            "```sh" => inside = true,
            "```" => inside = false,
            _ if inside && !line.is_empty() => {
                found.push(line.split(" #").next().unwrap_or(line).trim());
            }
            _ if !inside && line.starts_with("## ") && !found.is_empty() => break,
            _ => {}
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_are_read_without_their_remarks() {
        let readme = "# M\n\n```sh\na b   # what it does\n```\nand\n```sh\nc\n```\n```text\nx\n```\n## Next\n```sh\nd\n```\n";
        assert_eq!(commands(readme), ["a b", "c"]);
    }
}
