//! The command line, as it is typed, and what of the environment counts.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use muster_core::time::Instant;
use muster_version::Scheme;

/// Tells which security patches a server misses, why, and what to do first.
///
/// `muster inspect` needs no service, no download and no configuration: the package indices that lie on the machine
/// already tell which fixes can be installed here and now. An advisory file (`muster feed build`) adds what they cannot:
/// flaws without a fix, what is exploited, the end of support.
///
/// Exit status: 0 nothing is owed, 1 something is owed or could not be known, 2 the question could not be answered.
#[derive(Parser, Debug)]
#[command(
    name = "muster",
    version,
    max_term_width = 100,
    arg_required_else_help = true,
    propagate_version = true
)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    pub(crate) command: Command,
    /// The time to judge by, as RFC 3339 in UTC (2026-11-23T00:00:00Z); the system's clock without it
    #[arg(long, global = true, value_name = "TIME", value_parser = instant)]
    pub(crate) now: Option<Instant>,
}

#[derive(Subcommand, Debug)]
pub(crate) enum Command {
    /// Say which security patches a server misses
    Inspect(Box<Inspect>),
    /// Tell a server's owner what a finding means and what to type
    Explain(Box<Explain>),
    /// Make, fetch and look into advisory files
    #[command(subcommand)]
    Feed(Feed),
    /// Print what lets a key inspect a server over SSH, and do nothing else there
    SshKey(SshKey),
    /// Show everything that vendors said under an id
    Advisory(Advisory),
    /// Compare package versions as the real tools do
    #[command(subcommand)]
    Version(Version),
    /// Print the completions for a shell
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
    /// Write the manual pages into a folder
    Man {
        /// The folder
        folder: PathBuf,
    },
}

/// Say which security patches a server misses.
///
/// ROOT is the system that runs (`/`, also when nothing is named), a directory with the root of another one (a mounted
/// disk, an unpacked image), a tar of it (.tar, .tar.gz, .tar.xz, .tar.zst), `-` for a tar on standard input, or
/// `ssh://[user@]host[:port]` for a server that the system's own ssh reaches without asking for anything. Nothing is
/// written there, and nothing is run but, over SSH, one constant script that reads (`muster ssh-key` prints it).
///
/// Several servers are answered by one table, worst first; with --format ndjson by their findings.
#[derive(Args, Debug)]
pub(crate) struct Inspect {
    /// What to inspect: `/`, a directory, a tar, `-`, `ssh://[user@]host[:port]`
    #[arg(value_name = "ROOT")]
    pub(crate) roots: Vec<String>,
    /// More roots from a file, one a line; what follows a `#` is a comment
    #[arg(long, value_name = "FILE")]
    pub(crate) targets: Option<PathBuf>,
    /// The compiled advisory file to hold the packages against
    #[arg(long, value_name = "FILE")]
    pub(crate) advisories: Option<PathBuf>,
    /// A minisign public key (or a file with one): the advisory file must bear its signature, in FILE.minisig
    #[arg(long, value_name = "KEY")]
    pub(crate) advisories_key: Option<String>,
    /// How to answer
    #[arg(long, value_enum, default_value_t = Format::Table)]
    pub(crate) format: Format,
    /// Also list what is fixed and what is not affected
    #[arg(long)]
    pub(crate) all: bool,
    /// Also count as owed what has no fix, or none to come
    #[arg(long)]
    pub(crate) strict: bool,
    /// Show how the verdict on one finding (an advisory, a CVE, a package) was reached
    #[arg(long, value_name = "ID")]
    pub(crate) why: Option<String>,
    /// Take `proc/` inside a directory or tar for the running state of that root
    #[arg(long)]
    pub(crate) live_proc: bool,
    /// Give up on a root after so many seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 30, value_parser = clap::value_parser!(u32).range(1..=3600))]
    pub(crate) timeout: u32,
    #[command(flatten)]
    pub(crate) ssh: OverSsh,
}

/// How servers are reached over SSH.
#[derive(Args, Clone, Debug)]
pub(crate) struct OverSsh {
    /// Read what needs root through `sudo -n` on the server
    #[arg(long)]
    pub(crate) sudo: bool,
    /// The configuration of ssh, instead of your own
    #[arg(long, value_name = "FILE")]
    pub(crate) ssh_config: Option<PathBuf>,
    /// How many servers are asked at once
    #[arg(long, value_name = "NUMBER", default_value_t = 32, value_parser = clap::value_parser!(u16).range(1..=256))]
    pub(crate) parallel: u16,
}

/// Print what lets a key inspect a server over SSH, and do nothing else there.
///
/// The first line goes into ~/.ssh/authorized_keys of the account on the server: with it, the key runs the one constant
/// script and nothing else. With --sudo the script reads as root, and a second line, for a file in /etc/sudoers.d, allows
/// that one command.
#[derive(Args, Debug)]
pub(crate) struct SshKey {
    /// The public key, as a file (id_ed25519.pub); without it the place is left open
    #[arg(value_name = "FILE")]
    pub(crate) key: Option<PathBuf>,
    /// Read as root, through sudo
    #[arg(long)]
    pub(crate) sudo: bool,
    /// The account on the server, for the line of sudoers
    #[arg(long, value_name = "NAME", default_value = "muster")]
    pub(crate) user: String,
    /// Print the script alone, as it is run
    #[arg(long, conflicts_with_all = ["key", "sudo"])]
    pub(crate) script: bool,
}

/// Tell a server's owner what a finding means and what to type.
///
/// The page needs no knowledge of Muster: what is wrong, since when, how bad by whose word, what to type, and by what
/// sign the next inspection knows that it is done. FINDING is an id as `muster inspect` prints it: an advisory, a CVE, a
/// package, a unit, the path of a web application.
///
/// Exit status: 0 nothing is owed there, 1 it is owed, 2 there is no such finding, or the root could not be inspected.
#[derive(Args, Debug)]
pub(crate) struct Explain {
    /// What to explain
    #[arg(value_name = "FINDING")]
    pub(crate) finding: String,
    /// Where: `/`, a directory, a tar, `-`, `ssh://[user@]host[:port]`; the running system without it
    #[arg(value_name = "ROOT")]
    pub(crate) root: Option<String>,
    /// The compiled advisory file to hold the packages against
    #[arg(long, value_name = "FILE")]
    pub(crate) advisories: Option<PathBuf>,
    /// A minisign public key (or a file with one): the advisory file must bear its signature, in FILE.minisig
    #[arg(long, value_name = "KEY")]
    pub(crate) advisories_key: Option<String>,
    /// How to write the page
    #[arg(long, value_enum, default_value_t = PageFormat::Text)]
    pub(crate) format: PageFormat,
    /// Also count as owed what has no fix, or none to come
    #[arg(long)]
    pub(crate) strict: bool,
    /// Take `proc/` inside a directory or tar for the running state of that root
    #[arg(long)]
    pub(crate) live_proc: bool,
    /// Give up on the root after so many seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 30, value_parser = clap::value_parser!(u32).range(1..=3600))]
    pub(crate) timeout: u32,
    #[command(flatten)]
    pub(crate) ssh: OverSsh,
}

impl Explain {
    /// Returns the inspection behind the page.
    pub(crate) fn inspect(&self) -> Inspect {
        Inspect {
            roots: self.root.clone().into_iter().collect(),
            targets: None,
            advisories: self.advisories.clone(),
            advisories_key: self.advisories_key.clone(),
            format: Format::Table,
            all: true,
            strict: self.strict,
            why: None,
            live_proc: self.live_proc,
            timeout: self.timeout,
            ssh: self.ssh.clone(),
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum PageFormat {
    /// Plain text, for a terminal or a mail
    Text,
    /// Markdown, for a ticket
    Markdown,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// For a person, at 80 columns
    Table,
    /// One object; its schema is docs/reference/inspection.schema.json
    Json,
    /// One line a finding
    Ndjson,
    /// SARIF 2.1.0
    Sarif,
    /// CycloneDX 1.6 with its vulnerabilities (VEX)
    Cyclonedx,
    /// OpenVEX 0.2.0
    Openvex,
    /// A line a finding, with a header
    Csv,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Plain {
    /// For a person
    Table,
    /// One object
    Json,
}

#[derive(Subcommand, Debug)]
pub(crate) enum Feed {
    /// Compile feeds into one advisory file
    Build(Box<Build>),
    /// Show what an advisory file holds
    Show {
        /// The advisory file
        file: PathBuf,
        /// How to answer
        #[arg(long, value_enum, default_value_t = Plain::Table)]
        format: Plain,
        /// Print the text that a detached signature signs, and nothing else
        #[arg(long)]
        signed_text: bool,
    },
    /// List what opens and closes from one advisory file to another
    Diff {
        /// The older file
        old: PathBuf,
        /// The newer file
        new: PathBuf,
        /// How to answer
        #[arg(long, value_enum, default_value_t = Plain::Table)]
        format: Plain,
    },
    /// Fetch the vendors' feeds
    Pull(Pull),
}

/// Compile feeds into one advisory file.
///
/// Each PATH is a file, a directory or an archive as its vendor publishes it; what it is is recognised from its
/// content, and FORMAT=PATH says it outright. An existing FILE is the build before: what it knows of releases that
/// their feed dropped is kept, and a feed that is older than it was, or a change beyond the guard, is refused unless
/// it is told to be accepted. FILE is replaced whole or not at all.
///
/// Exit status: 0 built, 1 built, with problems (each is listed), 2 nothing built.
#[derive(Args, Debug)]
pub(crate) struct Build {
    /// What to compile, as PATH or FORMAT=PATH
    #[arg(value_name = "PATH", required = true)]
    pub(crate) paths: Vec<String>,
    /// The advisory file to write
    #[arg(short, long, value_name = "FILE")]
    pub(crate) output: PathBuf,
    /// How to answer
    #[arg(long, value_enum, default_value_t = Plain::Table)]
    pub(crate) format: Plain,
    /// Accept a change beyond the guard, and releases that disappear with their feed
    #[arg(long)]
    pub(crate) accept_change: bool,
    /// Accept a feed that is older than the one compiled before
    #[arg(long)]
    pub(crate) accept_older: bool,
}

/// Fetch the vendors' feeds.
///
/// Every file is replaced whole or stays as it was; what has not changed at its publisher is not fetched again. The
/// list of feeds is built in (--print-config shows it) and can be edited.
///
/// Exit status: 0 all is there, 1 a part failed, 2 nothing could be had.
#[derive(Args, Debug)]
pub(crate) struct Pull {
    /// The feeds, by name; without one, all that are not on request
    #[arg(value_name = "NAME")]
    pub(crate) names: Vec<String>,
    /// The folder to keep the feeds in
    #[arg(long, value_name = "FOLDER")]
    pub(crate) into: Option<PathBuf>,
    /// The list of feeds, instead of the one built in
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// Only the feeds that these distributions need
    #[arg(long = "for", value_name = "DISTRIBUTION")]
    pub(crate) distributions: Vec<String>,
    /// Say what would be fetched, and fetch nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Print the built-in list of feeds, to edit
    #[arg(long)]
    pub(crate) print_config: bool,
    /// How to answer
    #[arg(long, value_enum, default_value_t = Plain::Table)]
    pub(crate) format: Plain,
}

#[derive(Args, Debug)]
pub(crate) struct Advisory {
    /// The id: a CVE, a notice
    pub(crate) id: String,
    /// The compiled advisory file
    #[arg(long, value_name = "FILE")]
    pub(crate) advisories: Option<PathBuf>,
    /// How to answer
    #[arg(long, value_enum, default_value_t = Plain::Table)]
    pub(crate) format: Plain,
}

#[derive(Subcommand, Debug)]
pub(crate) enum Version {
    /// Write `<`, `=` or `>` for two versions, or for each line `A<TAB>B` of standard input
    Compare {
        /// The order: dpkg, rpm, apk, semver, npm, pep440, composer, rubygems, maven, golang
        #[arg(value_parser = scheme)]
        scheme: Scheme,
        /// A version, or `-` for standard input
        #[arg(allow_hyphen_values = true)]
        a: String,
        /// The other version
        #[arg(allow_hyphen_values = true, required_unless_present = "a")]
        b: Option<String>,
    },
}

fn instant(text: &str) -> Result<Instant, String> {
    text.parse().map_err(|_| "not a time; write it as 2026-11-23T00:00:00Z".to_owned())
}

fn scheme(text: &str) -> Result<Scheme, String> {
    text.parse().map_err(|e| format!("{e}"))
}

/// Returns a variable of the environment, if it is set to text.
#[expect(
    clippy::disallowed_methods,
    reason = "this is the one place where the environment is read"
)]
pub(crate) fn environment(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

#[cfg(test)]
mod tests {
    use std::path::{Path, PathBuf};

    use clap::CommandFactory as _;
    use muster_net::http::pull::{Feeds, Plan, Selection};

    use super::*;

    /// Every page that shows commands.
    fn pages() -> Vec<PathBuf> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        let mut pages: Vec<PathBuf> =
            ["README.md", "SECURITY.md", "CONTRIBUTING.md"].map(|p| root.join(p)).into();
        let mut folders = vec![root.join("docs")];
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    folders.push(path);
                } else if path.extension().is_some_and(|e| e == "md") {
                    pages.push(path);
                }
            }
        }
        pages
    }

    /// What a page sets as code: the lines of its blocks, and what stands between backticks.
    fn code(page: &str) -> Vec<String> {
        let (mut code, mut prose, mut is_block) = (Vec::new(), String::new(), false);
        for line in page.lines() {
            if line.trim_start().starts_with("```") {
                is_block = !is_block;
            } else if is_block {
                code.push(line.to_owned());
            } else {
                prose.push_str(line);
                prose.push(' ');
            }
        }
        code.extend(prose.split('`').skip(1).step_by(2).map(str::to_owned));
        code
    }

    /// The arguments of each run of the executable within a line of shell.
    fn runs(line: &str) -> Vec<Vec<String>> {
        let line = line.split(" #").next().unwrap_or_default().replace("\\|", "|");
        let simple = line.replace("&&", "|").replace("$(", "|").replace([')', ';'], "|");
        let mut runs = Vec::new();
        for command in simple.split('|') {
            let words = command.split_whitespace().take_while(|w| !w.contains('>'));
            let words: Vec<&str> = words.collect();
            let after = match words.as_slice() {
                ["cargo", "run", ..] => words.iter().position(|w| *w == "--").map(|at| at + 1),
                [first, ..] if *first == "muster" || first.ends_with("/muster") => Some(1),
                _ => None,
            };
            let arguments = after.and_then(|at| words.get(at..)).filter(|a| !a.is_empty());
            runs.extend(arguments.map(|a| a.iter().map(|w| (*w).to_owned()).collect()));
        }
        runs
    }

    /// Judges a run as the executable would, as far as that needs no file and no network.
    fn refusal(arguments: &[String]) -> Option<String> {
        let mut command = Arguments::command();
        let is_name = arguments.iter().all(|word| {
            let found = command.find_subcommand(word).cloned();
            found.map(|found| command = found).is_some()
        });
        if is_name {
            return None;
        }
        let words = arguments.iter().map(|word| if word == "SHELL" { "bash" } else { word });
        let words = std::iter::once("muster").chain(words);
        let parsed = match Arguments::try_parse_from(words) {
            Ok(parsed) => parsed,
            Err(error) if !error.use_stderr() => return None,
            Err(error) => return Some(error.to_string()),
        };
        let Command::Feed(Feed::Pull(pull)) = parsed.command else { return None };
        let is_blank = |name: &String| name.chars().all(char::is_uppercase);
        let names = pull.names.into_iter().filter(|n| !is_blank(n)).collect();
        let selection = Selection { names, distributions: pull.distributions };
        let plan = Plan::new(&Feeds::compiled_in(), Path::new("none"), &selection);
        plan.err().map(|error| error.to_string())
    }

    #[test]
    fn every_command_of_the_documents_is_one() {
        let (mut wrong, mut count) = (Vec::new(), 0);
        for page in pages() {
            let text = std::fs::read_to_string(&page).unwrap();
            for run in code(&text).iter().flat_map(|line| runs(line)) {
                count += 1;
                if let Some(why) = refusal(&run) {
                    wrong.push(format!("{}: muster {}: {why}", page.display(), run.join(" ")));
                }
            }
        }
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
        assert!(count > 60, "only {count} commands were found");
    }

    #[test]
    fn a_command_that_does_not_work_is_told() {
        for (line, is_wrong) in [
            ("muster feed pull feeds", true),
            ("target/release/muster feed pull --for debian feeds # why", true),
            ("muster feed pull --into feeds && muster feed build -o x", true),
            ("x=$(muster inspect --formt json 2>&1)", true),
            ("docker export c \\| muster inspekt -", true),
            ("cargo run --release -- inspect --format tabel", true),
            ("muster feed pull --for debian --into feeds && muster feed build feeds -o x", false),
            ("muster feed pull NAME; muster feed build", false),
            ("x=$(muster inspect --format json 2>&1)", false),
        ] {
            let wrong = runs(line).iter().any(|run| refusal(run).is_some());
            assert_eq!(wrong, is_wrong, "{line}");
        }
    }
}
