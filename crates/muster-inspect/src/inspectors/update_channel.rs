//! What keeps updates from arriving on a Debian or Ubuntu system, apart from its sources.
//!
//! Half-configured and held packages (dpkg(1)), dpkg's unfinished journal, unattended-upgrades (its configuration in
//! apt.conf(5), its log, the timers of systemd that start it). Whether a service runs at this moment is not looked at.

use muster_core::action;
use muster_core::fact::{Database, Facts, PackageState, Reading, Trouble, TroubleKind};

use super::apt::{Conf, parts};
use crate::Inspector;
use crate::root::{EntryKind, Root};

/// How much of the end of the log is read.
const LOG_END: u64 = 64 << 10;

const LOG: &str = "var/log/unattended-upgrades/unattended-upgrades.log";
const STAMP: &str = "var/lib/apt/periodic/update-success-stamp";
const UNITS: &str = "etc/systemd/system";

/// The inspector of the way that updates take.
pub struct UpdateChannel;

impl Inspector for UpdateChannel {
    fn name(&self) -> &'static str {
        "update-channel"
    }

    fn reads(&self) -> &'static [&'static str] {
        &[
            "etc/apt/apt.conf",
            "etc/apt/apt.conf.d/*",
            "etc/systemd/system/apt-daily-upgrade.timer",
            "etc/systemd/system/apt-daily.timer",
            "etc/systemd/system/unattended-upgrades.service",
            "var/lib/apt/periodic/update-success-stamp",
            "var/lib/dpkg/updates/",
            "var/log/unattended-upgrades/unattended-upgrades.log",
        ]
    }

    fn in_containers(&self) -> bool {
        false
    }

    fn inspect(&self, root: &dyn Root, facts: &mut Facts) {
        if !matches!(facts.database, Reading::Found(Database::Dpkg)) {
            return;
        }
        packages(facts);
        journal(root, facts);
        // An image without apt is not kept up to date from within.
        if facts.packages.iter().any(|package| package.name == "apt") {
            automatic(root, facts);
        }
    }
}

/// Names each package that is in the middle of something, and each that is held.
fn packages(facts: &mut Facts) {
    let mut found = Vec::new();
    for package in &facts.packages {
        let state = match package.state {
            PackageState::Installed => None,
            PackageState::HalfInstalled => Some("half installed"),
            PackageState::Unpacked => Some("unpacked and not configured"),
            PackageState::HalfConfigured => Some("half configured"),
            PackageState::TriggersAwaited => Some("waiting for another package's trigger"),
            PackageState::TriggersPending => Some("waiting for its triggers to run"),
        };
        if let Some(state) = state {
            found.push(Trouble {
                kind: TroubleKind::HalfConfigured,
                subject: package.name.clone(),
                why: format!(
                    "{} {} is {state} (/var/lib/dpkg/status)",
                    package.name, package.version
                ),
                remedy: Some("dpkg --configure -a && apt-get -f install".to_owned()),
            });
        }
        if package.held {
            found.push(Trouble {
                kind: TroubleKind::Held,
                subject: package.name.clone(),
                why: format!(
                    "{} is held at {} (/var/lib/dpkg/status)",
                    package.name, package.version
                ),
                remedy: Some(action::on("apt-mark unhold", [package.name.as_str()])),
            });
        }
    }
    facts.troubles.append(&mut found);
}

/// Looks for what dpkg had begun when it was interrupted.
fn journal(root: &dyn Root, facts: &mut Facts) {
    let Reading::Found(entries) = root.list("var/lib/dpkg/updates") else { return };
    let is_left = |name: &str| !name.is_empty() && name.bytes().all(|b| b.is_ascii_digit());
    let left = entries.iter().filter(|e| e.kind == EntryKind::File && is_left(&e.name)).count();
    if left > 0 {
        facts.troubles.push(Trouble {
            kind: TroubleKind::HalfConfigured,
            subject: "dpkg".to_owned(),
            why: format!(
                "dpkg was interrupted and left {left} entries in /var/lib/dpkg/updates: apt refuses to work"
            ),
            remedy: Some("dpkg --configure -a".to_owned()),
        });
    }
}

/// Looks whether updates are installed without anybody's doing.
fn automatic(root: &dyn Root, facts: &mut Facts) {
    let conf = Conf::read(root);
    let installed = facts.packages.iter().any(|p| p.name == "unattended-upgrades");
    let last = last_update(root);
    if !installed {
        facts.troubles.push(off(
            "unattended-upgrades",
            format!("unattended-upgrades is not among the packages of /var/lib/dpkg/status{last}"),
            "apt-get install unattended-upgrades",
        ));
        return;
    }
    let before = facts.troubles.len();
    for name in ["Update-Package-Lists", "Unattended-Upgrade"] {
        let setting = format!("APT::Periodic::{name}");
        let every = conf.get(&setting).unwrap_or("0");
        // `0` is never; `1`, `7`, `12h`, `always` are times between two runs.
        if every == "0" || every.is_empty() {
            let at = place(root, &setting);
            facts.troubles.push(off(
                &setting,
                format!(
                    "{setting} is {} in {at}{last}",
                    if conf.get(&setting).is_some() { "0" } else { "not set" }
                ),
                "dpkg-reconfigure -plow unattended-upgrades",
            ));
        }
    }
    if conf.get("APT::Periodic::Enable") == Some("0") {
        let at = place(root, "APT::Periodic::Enable");
        let why = format!("APT::Periodic::Enable is 0 in {at}{last}");
        facts.troubles.push(off(
            "APT::Periodic::Enable",
            why,
            &format!("editor {}", action::word(&at)),
        ));
    }
    for unit in ["apt-daily.timer", "apt-daily-upgrade.timer", "unattended-upgrades.service"] {
        let path = format!("{UNITS}/{unit}");
        if let Reading::Found(target) = root.link(&path)
            && target == "/dev/null"
        {
            let why = format!("{unit} is masked: /{path} points to /dev/null{last}");
            facts.troubles.push(off(unit, why, &format!("systemctl unmask {unit}")));
        }
    }
    if !admits_security(&conf) {
        let at = place(root, "Unattended-Upgrade::");
        let why = format!("no pattern of Unattended-Upgrade in {at} admits the security pocket");
        facts.troubles.push(off(
            "Unattended-Upgrade::Allowed-Origins",
            why,
            &format!("editor {}", action::word(&at)),
        ));
    }
    if facts.troubles.len() == before {
        facts.troubles.extend(failing(root));
    }
}

fn off(subject: &str, why: String, remedy: &str) -> Trouble {
    Trouble {
        kind: TroubleKind::AutomaticOff,
        subject: subject.to_owned(),
        why,
        remedy: Some(remedy.to_owned()),
    }
}

/// Tells when the lists were last fetched, as the end of a sentence.
fn last_update(root: &dyn Root) -> String {
    let Reading::Found(stamp) = root.open(STAMP) else { return String::new() };
    stamp.modified().map_or_else(String::new, |at| {
        format!("; the lists were last fetched {} (/{STAMP})", at.strftime("%Y-%m-%d"))
    })
}

/// Returns the last file of apt's configuration that speaks of a setting.
fn place(root: &dyn Root, setting: &str) -> String {
    let mut files = parts(root, "etc/apt/apt.conf.d", &[".conf"], true);
    files.push("etc/apt/apt.conf".to_owned());
    let word = setting.rsplit("::").find(|word| !word.is_empty()).unwrap_or(setting);
    let speaks = |file: &&String| match root.read(file, 1 << 20) {
        Reading::Found(bytes) => memchr::memmem::find(&bytes, word.as_bytes()).is_some(),
        _ => false,
    };
    let found = files.iter().rev().find(speaks);
    found.map_or_else(|| "/etc/apt/apt.conf.d".to_owned(), |file| format!("/{file}"))
}

/// Tells whether one of the patterns lets security updates through. Without any pattern the tool installs nothing.
fn admits_security(conf: &Conf) -> bool {
    let allowed = conf.list("Unattended-Upgrade::Allowed-Origins");
    let patterns = conf.list("Unattended-Upgrade::Origins-Pattern");
    let all = allowed.iter().chain(&patterns);
    all.into_iter().any(|pattern| {
        let pattern = pattern.to_ascii_lowercase();
        // `origin:suite` and `key=value,…`; a pattern that names no suite and no label lets everything through.
        let names_pocket = ["archive=", "a=", "suite=", "codename=", "n=", "label=", "l="]
            .iter()
            .any(|key| pattern.split(',').any(|term| term.trim().starts_with(key)));
        pattern.contains("security")
            || pattern.contains('=') && !names_pocket
            || pattern.ends_with('*')
    })
}

/// Returns the trouble that the end of the log tells of: the last run's, not one that was overcome.
fn failing(root: &dyn Root) -> Option<Trouble> {
    use std::io::{Read as _, Seek as _, SeekFrom};
    let Reading::Found(mut log) = root.open(LOG) else { return None };
    log.seek(SeekFrom::Start(log.size().saturating_sub(LOG_END))).ok()?;
    let mut bytes = Vec::new();
    (&mut *log).take(LOG_END).read_to_end(&mut bytes).ok()?;
    let text = String::from_utf8_lossy(&bytes);
    let last_run = text.rfind("Starting unattended upgrades script").unwrap_or(0);
    let error = text
        .get(last_run..)?
        .lines()
        .rfind(|line| [" ERROR ", " CRITICAL "].iter().any(|level| line.contains(level)))?;
    Some(Trouble {
        kind: TroubleKind::AutomaticFailing,
        subject: "unattended-upgrades".to_owned(),
        why: format!("the last run ended with an error: {} (/{LOG})", cut(error)),
        remedy: Some("unattended-upgrade --debug".to_owned()),
    })
}

/// Returns a line no longer than a report bears.
fn cut(line: &str) -> String {
    line.chars().take(200).collect()
}

#[cfg(test)]
mod tests {
    use muster_core::fact::{Database, Facts, Package, PackageState, Reading};

    use super::UpdateChannel;
    use crate::Inspector as _;
    use crate::inspectors::apt::testing::Files;

    const ON: (&str, &str) = (
        "etc/apt/apt.conf.d/20auto-upgrades",
        "APT::Periodic::Update-Package-Lists \"1\";\nAPT::Periodic::Unattended-Upgrade \"1\";\n",
    );
    const PATTERNS: (&str, &str) = (
        "etc/apt/apt.conf.d/50unattended-upgrades",
        "Unattended-Upgrade::Origins-Pattern { \"origin=Debian,codename=${distro_codename}-security,label=Debian-Security\"; };",
    );

    fn package(name: &str) -> Package {
        Package { name: name.to_owned(), version: "1".to_owned(), ..Package::default() }
    }

    fn troubles(packages: Vec<Package>, root: &Files) -> Vec<String> {
        let database = Reading::Found(Database::Dpkg);
        let mut facts = Facts { database, packages, ..Facts::default() };
        UpdateChannel.inspect(root, &mut facts);
        facts.troubles.iter().map(|t| format!("{} {}", t.kind.name(), t.subject)).collect()
    }

    fn automatic(root: &Files) -> Vec<String> {
        troubles(vec![package("apt"), package("unattended-upgrades")], root)
    }

    #[test]
    fn packages_in_the_middle_of_something_and_held_ones_are_named() {
        let half = Package { state: PackageState::HalfConfigured, ..package("a") };
        let held = Package { held: true, ..package("b") };
        assert_eq!(troubles(vec![half, held], &Files::default()), ["half-configured a", "held b"]);
        let journal = Files::of(&[("var/lib/dpkg/updates/0001", "x")]);
        assert_eq!(troubles(Vec::new(), &journal), ["half-configured dpkg"]);
    }

    #[test]
    fn a_name_is_no_command() {
        let held = Package { held: true, ..package("x;reboot;$(id)") };
        let mut facts = Facts {
            database: Reading::Found(Database::Dpkg),
            packages: vec![held],
            ..Facts::default()
        };
        UpdateChannel.inspect(&Files::default(), &mut facts);
        assert_eq!(facts.troubles[0].remedy.as_deref(), Some("apt-mark unhold 'x;reboot;$(id)'"));
    }

    #[test]
    fn automatic_updates_that_are_on_and_work_are_no_trouble() {
        let log = (
            "var/log/unattended-upgrades/unattended-upgrades.log",
            "2026-11-20 06:00:00,000 INFO Starting unattended upgrades script\n2026-11-20 ERROR old\n2026-11-21 06:00:00,000 INFO Starting unattended upgrades script\n2026-11-21 06:00:01,000 INFO No packages found\n",
        );
        assert!(automatic(&Files::of(&[ON, PATTERNS, log])).is_empty());
    }

    #[test]
    fn automatic_updates_that_are_off_are_named_with_the_reason() {
        let missing = troubles(vec![package("apt")], &Files::of(&[ON]));
        assert_eq!(missing, ["automatic-updates-off unattended-upgrades"]);
        let zero = ("etc/apt/apt.conf.d/90", "APT::Periodic::Unattended-Upgrade \"0\";");
        let off = automatic(&Files::of(&[ON, PATTERNS, zero]));
        assert_eq!(off, ["automatic-updates-off APT::Periodic::Unattended-Upgrade"]);
        let narrow = (
            "etc/apt/apt.conf.d/50unattended-upgrades",
            "Unattended-Upgrade::Allowed-Origins { \"Ubuntu:jammy-updates\"; };",
        );
        let off = automatic(&Files::of(&[ON, narrow]));
        assert_eq!(off, ["automatic-updates-off Unattended-Upgrade::Allowed-Origins"]);
        let mut masked = Files::of(&[ON, PATTERNS]);
        masked.link("etc/systemd/system/apt-daily-upgrade.timer", "/dev/null");
        assert_eq!(automatic(&masked), ["automatic-updates-off apt-daily-upgrade.timer"]);
    }

    #[test]
    fn an_error_of_the_last_run_is_told() {
        let log = (
            "var/log/unattended-upgrades/unattended-upgrades.log",
            "INFO Starting unattended upgrades script\n2026-11-21 06:00:01,000 ERROR Lock could not be acquired\n",
        );
        assert_eq!(
            automatic(&Files::of(&[ON, PATTERNS, log])),
            ["automatic-updates-failing unattended-upgrades"]
        );
    }
}
