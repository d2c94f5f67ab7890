//! What keeps updates from arriving on rpm and Alpine systems: automatic updates that are off, repositories that are
//! missing, unsigned or never fetched, packages that are kept back
//! (dnf-automatic(8), yum-cron(8), dnf.conf(5), apk-repositories(5)).
//!
//! A unit counts as switched on by its link below `/etc/systemd/system`, which is what `systemctl enable` makes; whether
//! its last run failed is not in a file and is not told. Automatic updates are missed only where the distribution has
//! a tool for them: not on SUSE, and on Alpine only where it is a whole system with services (`openrc`), not a
//! container. Remedies name only what is safe to paste into a shell.

use muster_core::fact::{Database, Facts, Index, Obstacle, Reading, Trouble, TroubleKind};

use super::apk_index::{Repository as Line, read_repositories};
use super::dnf::config::{Config, Repository, read_config, sections};
use crate::Inspector;
use crate::root::{EntryKind, Root};

const MAX_FILE: u64 = 1 << 20;
const AUTOMATIC: &[&str] = &["/etc/dnf/automatic.conf", "/etc/dnf/dnf5-plugins/automatic.conf"];
const YUM_CRON: &[&str] = &["/etc/yum/yum-cron.conf", "/etc/sysconfig/yum-cron"];
const TIMERS: &str = "/etc/systemd/system/timers.target.wants";
const SERVICES: &[&str] =
    &["/etc/systemd/system/multi-user.target.wants", "/etc/rc3.d", "/etc/rc.d/rc3.d"];
/// Where Alpine's cron looks.
const PERIODIC: &[&str] = &[
    "/etc/periodic/15min",
    "/etc/periodic/hourly",
    "/etc/periodic/daily",
    "/etc/periodic/weekly",
    "/etc/periodic/monthly",
];
const CRONTABS: &[&str] = &["/etc/crontabs/root", "/var/spool/cron/crontabs/root"];

/// Reads how updates come to an rpm or an Alpine system.
pub struct DnfChannel;

impl Inspector for DnfChannel {
    fn name(&self) -> &'static str {
        "dnf_channel"
    }

    fn reads(&self) -> &'static [&'static str] {
        &[
            "/etc/dnf/dnf.conf",
            "/etc/dnf/automatic.conf",
            "/etc/dnf/dnf5-plugins/automatic.conf",
            "/etc/dnf/versionlock.toml",
            "/etc/dnf/plugins/versionlock.list",
            "/etc/yum.conf",
            "/etc/yum/yum.conf",
            "/etc/yum/yum-cron.conf",
            "/etc/yum/pluginconf.d/versionlock.list",
            "/etc/yum.repos.d/*.repo",
            "/etc/yum/repos.d/*.repo",
            "/etc/distro.repos.d/*.repo",
            "/etc/sysconfig/yum-cron",
            "/etc/systemd/system/*/",
            "/etc/rc3.d/",
            "/etc/rc.d/rc3.d/",
            "/etc/apk/repositories",
            "/etc/apk/repositories.d/*.list",
            "/lib/apk/repositories.d/*.list",
            "/etc/periodic/*/*",
            "/etc/crontabs/root",
            "/var/spool/cron/crontabs/root",
        ]
    }

    fn in_containers(&self) -> bool {
        false
    }

    fn inspect(&self, root: &dyn Root, facts: &mut Facts) {
        let mut channel = Channel { root, troubles: Vec::new(), obstacles: Vec::new() };
        match facts.database {
            Reading::Found(Database::Rpm) => channel.rpm(facts),
            Reading::Found(Database::Apk) => channel.apk(facts),
            Reading::Found(Database::Dpkg) | Reading::Absent | Reading::Unknown(_) => return,
        }
        channel.kept_back(facts);
        let Channel { mut troubles, mut obstacles, .. } = channel;
        facts.troubles.append(&mut troubles);
        facts.obstacles.append(&mut obstacles);
    }
}

/// What is gathered.
struct Channel<'r> {
    root: &'r dyn Root,
    troubles: Vec<Trouble>,
    obstacles: Vec<Obstacle>,
}

impl Channel<'_> {
    fn trouble(&mut self, kind: TroubleKind, subject: &str, why: String, remedy: Option<String>) {
        self.troubles.push(Trouble { kind, subject: subject.to_owned(), why, remedy });
    }

    fn read(&mut self, path: &str) -> Option<String> {
        match self.root.read(path, MAX_FILE) {
            Reading::Found(bytes) => Some(String::from_utf8_lossy(&bytes).into_owned()),
            Reading::Absent => None,
            Reading::Unknown(obstacle) => {
                self.obstacles.push(obstacle);
                None
            }
        }
    }

    /// Returns the names in a folder, without the folders in it.
    fn names(&mut self, path: &str) -> Vec<String> {
        match self.root.list(path) {
            Reading::Found(entries) => entries
                .into_iter()
                .filter(|entry| entry.kind != EntryKind::Directory)
                .map(|entry| entry.name)
                .collect(),
            Reading::Absent => Vec::new(),
            Reading::Unknown(obstacle) => {
                self.obstacles.push(obstacle);
                Vec::new()
            }
        }
    }

    fn rpm(&mut self, facts: &Facts) {
        // The inspector of the archives has told what stands in the way of these files.
        let config = read_config(self.root);
        if uses_dnf(facts, &config) {
            self.automatic(facts);
            self.repositories(facts, &config);
        }
    }

    fn automatic(&mut self, facts: &Facts) {
        let timers = self.names(TIMERS);
        let on = |unit: &str| timers.iter().any(|timer| timer == unit);
        let yum_cron = SERVICES.iter().any(|folder| {
            self.names(folder).iter().any(|name| {
                name == "yum-cron.service" || name.starts_with('S') && name.ends_with("yum-cron")
            })
        });
        let (timer, install) = (
            on("dnf-automatic.timer") || on("dnf5-automatic.timer"),
            on("dnf-automatic-install.timer"),
        );
        let automatic = self.applies(AUTOMATIC);
        let cron = self.applies(YUM_CRON);
        if install || timer && automatic.as_ref().is_some_and(|(_, applies)| *applies) {
            return;
        }
        if yum_cron && cron.as_ref().is_some_and(|(_, applies)| *applies) {
            return;
        }
        let old = !facts.packages.iter().any(|p| matches!(p.name.as_str(), "dnf" | "dnf5"));
        let tool = if old { "yum-cron" } else { "dnf-automatic" };
        let (running, config) = if old { (yum_cron, cron) } else { (timer, automatic) };
        let (why, remedy) = match (running, config) {
            (true, Some((file, _))) => (
                format!("runs and installs nothing: apply_updates is not yes in {file}"),
                format!("sed -i 's/^ *apply_updates.*/apply_updates = yes/' {file}"),
            ),
            (true, None) => (
                String::from("runs without its configuration, and so installs nothing"),
                format!("{} reinstall {tool}", if old { "yum" } else { "dnf" }),
            ),
            (false, Some((file, _))) => (
                format!("is installed ({file}) and not switched on"),
                format!("systemctl enable --now {}", unit_of(old)),
            ),
            (false, None) => (
                String::from("is not installed, so that every update waits for a person"),
                format!(
                    "{} install {tool} && systemctl enable --now {}",
                    if old { "yum" } else { "dnf" },
                    unit_of(old)
                ),
            ),
        };
        self.trouble(TroubleKind::AutomaticOff, tool, why, Some(remedy));
    }

    /// Returns the first of these files that is there, and whether it lets updates be installed.
    fn applies(&mut self, files: &'static [&'static str]) -> Option<(&'static str, bool)> {
        for file in files {
            let Some(text) = self.read(file) else { continue };
            let applies = if file.ends_with(".conf") {
                sections(&text)
                    .iter()
                    .any(|s| s.name == "commands" && s.switch("apply_updates") == Some(true))
            } else {
                // yum-cron of release 6: a shell file that installs unless it only checks or only downloads.
                !text
                    .lines()
                    .any(|line| matches!(line.trim(), "CHECK_ONLY=yes" | "DOWNLOAD_ONLY=yes"))
            };
            return Some((file, applies));
        }
        None
    }

    fn repositories(&mut self, facts: &Facts, config: &Config) {
        let enabled: Vec<&Repository> =
            config.repositories.iter().filter(|repository| repository.enabled).collect();
        if enabled.is_empty() {
            let why = "no repository is enabled, so that no update can arrive (/etc/yum.repos.d)";
            self.trouble(TroubleKind::SecuritySourceMissing, "repositories", why.into(), None);
            return;
        }
        for repository in &enabled {
            if !repository.gpgcheck.or(config.gpgcheck).unwrap_or(false) {
                let file = if repository.gpgcheck.is_some() {
                    repository.file.as_str()
                } else {
                    "the main configuration"
                };
                let why = format!(
                    "packages of this repository are installed without a signature: gpgcheck is off in {file}"
                );
                let remedy = safe(&repository.id)
                    .map(|id| format!("dnf config-manager --save --setopt={id}.gpgcheck=1 {id}"));
                self.trouble(TroubleKind::SourceUnsigned, &repository.id, why, remedy);
            }
        }
        let Some(archive) = facts.archive.found() else { return };
        let cached = |repository: &Repository| {
            archive.indices.iter().any(|index| index.origin == repository.id)
        };
        for repository in enabled.iter().filter(|repository| !cached(repository)) {
            let why = format!(
                "this repository is enabled ({}) and its metadata was never fetched, unlike that of others",
                repository.file
            );
            let remedy = safe(&repository.id).map(|id| format!("dnf makecache --repo={id}"));
            self.trouble(TroubleKind::SourceUnreachable, &repository.id, why, remedy);
        }
        if enabled.iter().all(|repository| cached(repository))
            && !archive.indices.iter().any(|index| index.official)
        {
            let why = "no enabled repository is the distributor's own, so that no security update can arrive (/etc/yum.repos.d)";
            self.trouble(
                TroubleKind::SecuritySourceMissing,
                "repositories",
                why.into(),
                Some("dnf repolist --all".into()),
            );
        }
    }

    fn apk(&mut self, facts: &Facts) {
        // The inspector of the indices has told what stands in the way of these files.
        let lines = read_repositories(self.root, &mut Vec::new());
        self.apk_repositories(facts, &lines);
        let whole_system = facts.packages.iter().any(|package| package.name == "openrc");
        if whole_system && !self.upgrades_by_cron() {
            let why = "nothing installs updates by itself: no script of cron calls `apk upgrade`";
            self.trouble(
                TroubleKind::AutomaticOff,
                "apk",
                why.into(),
                Some("apk add apk-cron && rc-update add crond && rc-service crond start".into()),
            );
        }
    }

    fn apk_repositories(&mut self, facts: &Facts, lines: &[Line]) {
        let version = facts.os.found().and_then(|os| os.version.as_deref()).unwrap_or_default();
        let release = version.splitn(3, '.').take(2).collect::<Vec<_>>().join(".");
        let wanted = |name: &str| {
            let own = name.strip_prefix('v').and_then(|rest| rest.strip_suffix("/main"))
                == Some(release.as_str());
            own || release.is_empty() && name.ends_with("/main")
                || matches!(name, "edge/main" | "latest-stable/main")
        };
        // A variable in an address stands for what the running system knows.
        let there = lines.iter().any(|line| wanted(&line.name()) || line.address().contains('$'));
        // Where no file names any, an image was cut down: what the package manager would do cannot be said.
        if !there && !lines.is_empty() {
            let why = format!(
                "no line of /etc/apk/repositories names the main repository of {release}, so that its security updates cannot arrive"
            );
            self.trouble(
                TroubleKind::SecuritySourceMissing,
                "/etc/apk/repositories",
                why,
                Some("setup-apkrepos".into()),
            );
        }
        let Some(archive) = facts.archive.found() else { return };
        let cached =
            |line: &Line| archive.indices.iter().any(|index: &Index| index.site == line.site());
        if !archive.indices.iter().any(|index| !index.site.is_empty()) {
            return;
        }
        for line in lines.iter().filter(|line| line.is_remote() && !cached(line)) {
            let why = String::from(
                "this repository is named in /etc/apk/repositories and its index was never fetched, unlike that of others",
            );
            self.trouble(
                TroubleKind::SourceUnreachable,
                &line.site(),
                why,
                Some("apk update".into()),
            );
        }
    }

    fn upgrades_by_cron(&mut self) -> bool {
        let mut files: Vec<String> = CRONTABS.iter().map(|path| (*path).to_owned()).collect();
        for folder in PERIODIC {
            files.extend(
                self.names(folder).into_iter().take(100).map(|name| format!("{folder}/{name}")),
            );
        }
        files.iter().any(|file| self.read(file).is_some_and(|text| text.lines().any(upgrades)))
    }

    /// Names what the configuration keeps at an older version than is on offer.
    fn kept_back(&mut self, facts: &Facts) {
        let Some(archive) = facts.archive.found() else { return };
        let mut last = "";
        for candidate in &archive.candidates {
            let Some(reason) = &candidate.kept_back else { continue };
            if candidate.name == last {
                continue;
            }
            last = &candidate.name;
            let locked = reason.starts_with("locked by");
            let remedy = safe(&candidate.name)
                .filter(|_| locked)
                .map(|name| format!("dnf versionlock delete {name}"));
            let why = format!("{} is on offer and {reason}", candidate.version);
            self.trouble(TroubleKind::Held, &candidate.name, why, remedy);
        }
    }
}

/// Tells a line of a script or of a crontab that upgrades.
fn upgrades(line: &str) -> bool {
    let line = line.trim();
    let mut words =
        line.split_whitespace().skip_while(|word| *word != "apk" && !word.ends_with("/apk"));
    !line.starts_with('#') && words.next().is_some() && words.any(|word| word == "upgrade")
}

/// Tells the systems that have dnf or yum and the tools around them.
fn uses_dnf(facts: &Facts, config: &Config) -> bool {
    let installed =
        facts.packages.iter().any(|p| matches!(p.name.as_str(), "dnf" | "dnf5" | "yum"));
    let suse = facts.os.found().is_some_and(|os| {
        std::iter::once(&os.id).chain(&os.like).any(|id| id.contains("suse") || id == "sles")
    });
    !suse && (installed || !config.repositories.is_empty())
}

fn unit_of(old: bool) -> &'static str {
    if old { "yum-cron" } else { "dnf-automatic-install.timer" }
}

/// Returns a word if a shell takes it as it is: it comes from a server and is put before a person to paste.
fn safe(word: &str) -> Option<&str> {
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-' | b'+' | b':');
    (!word.is_empty() && !word.starts_with('-') && word.bytes().all(plain)).then_some(word)
}

#[cfg(test)]
mod tests {
    use muster_core::fact::{Archive, Candidate, Os, Package};

    use super::*;
    use crate::inspectors::rpmdb::tests::Files;

    const REPO: &str = "[baseos]\nbaseurl=https://m.example.org/\ngpgcheck=1\n";

    fn inspect(
        files: &Files,
        database: Database,
        packages: &[&str],
        archive: Reading<Archive>,
    ) -> Vec<String> {
        let package = |name: &&str| Package { name: (*name).into(), ..Package::default() };
        let os = Os { id: "almalinux".into(), version: Some("3.20.1".into()), ..Os::default() };
        let mut facts = Facts {
            os: Reading::Found(os),
            database: Reading::Found(database),
            packages: packages.iter().map(package).collect(),
            archive,
            ..Facts::default()
        };
        DnfChannel.inspect(files, &mut facts);
        assert_eq!(facts.obstacles, []);
        let line = |t: &Trouble| {
            format!("{} {}: {}", t.kind.name(), t.subject, t.remedy.as_deref().unwrap_or("-"))
        };
        facts.troubles.iter().map(line).collect()
    }

    fn repo() -> Files {
        Files::default().with("/etc/yum.repos.d/a.repo", REPO)
    }

    #[test]
    fn automatic_updates_are_on_off_or_missing() {
        let timer = "/etc/systemd/system/timers.target.wants/dnf-automatic.timer";
        let install = "/etc/systemd/system/timers.target.wants/dnf-automatic-install.timer";
        let config = "/etc/dnf/automatic.conf";
        let (yes, no) = ("[commands]\napply_updates = yes\n", "[commands]\napply_updates = no\n");
        for (files, expected) in [
            (
                repo(),
                "automatic-updates-off dnf-automatic: dnf install dnf-automatic && systemctl enable --now dnf-automatic-install.timer",
            ),
            (
                repo().with(config, yes),
                "automatic-updates-off dnf-automatic: systemctl enable --now dnf-automatic-install.timer",
            ),
            (
                repo().with(config, no).with(timer, ""),
                "automatic-updates-off dnf-automatic: sed -i 's/^ *apply_updates.*/apply_updates = yes/' /etc/dnf/automatic.conf",
            ),
            (repo().with(config, yes).with(timer, ""), ""),
            (repo().with(config, no).with(install, ""), ""),
        ] {
            assert_eq!(
                inspect(&files, Database::Rpm, &["dnf"], Reading::Absent).join("\n"),
                expected
            );
        }
        let service = "/etc/systemd/system/multi-user.target.wants/yum-cron.service";
        let cron = repo().with(service, "").with("/etc/yum/yum-cron.conf", yes);
        assert_eq!(inspect(&cron, Database::Rpm, &["yum"], Reading::Absent), [""; 0]);
        assert_eq!(
            inspect(&Files::default(), Database::Rpm, &["microdnf"], Reading::Absent),
            [""; 0]
        );
    }

    #[test]
    fn repositories_unsigned_unfetched_and_foreign_are_named() {
        let on = Files::default()
            .with("/etc/systemd/system/timers.target.wants/dnf-automatic-install.timer", "");
        let text = "[a]\ngpgcheck=0\n[b]\n[c]\nenabled=0\ngpgcheck=0\n[x;reboot]\ngpgcheck=0\n";
        let files = on
            .with("/etc/yum.repos.d/a.repo", text)
            .with("/etc/dnf/dnf.conf", "[main]\ngpgcheck=1\n");
        let index = Index { origin: "b".into(), ..Index::default() };
        let archive = Archive { indices: vec![index], ..Archive::default() };
        assert_eq!(
            inspect(&files, Database::Rpm, &["dnf"], Reading::Found(archive)),
            [
                "source-unsigned a: dnf config-manager --save --setopt=a.gpgcheck=1 a",
                "source-unsigned x;reboot: -",
                "source-unreachable a: dnf makecache --repo=a",
                "source-unreachable x;reboot: -",
            ]
        );
        let none = Files::default().with("/etc/yum.repos.d/a.repo", "[a]\nenabled=0\n");
        assert!(
            inspect(&none, Database::Rpm, &["dnf"], Reading::Absent)[1]
                .starts_with("security-source-missing")
        );
        let foreign = Index { origin: "baseos".into(), ..Index::default() };
        let archive = Archive { indices: vec![foreign], ..Archive::default() };
        assert!(
            inspect(&repo(), Database::Rpm, &["dnf"], Reading::Found(archive))[1]
                .starts_with("security-source-missing")
        );
    }

    #[test]
    fn what_is_kept_back_is_named_once() {
        let candidate = |arch: &str| Candidate {
            name: "bash".into(),
            architecture: arch.into(),
            version: "2".into(),
            kept_back: Some("locked by `bash-0:1-1.*` in f".into()),
            ..Candidate::default()
        };
        let index = Index { origin: "baseos".into(), official: true, ..Index::default() };
        let archive = Archive {
            indices: vec![index],
            candidates: vec![candidate("i686"), candidate("x86_64")],
            ..Archive::default()
        };
        let troubles = inspect(&repo(), Database::Rpm, &["dnf"], Reading::Found(archive));
        assert_eq!(troubles[1..], ["held bash: dnf versionlock delete bash"]);
    }

    #[test]
    fn alpine_needs_its_main_repository_and_a_cron_job() {
        let main = "https://dl-cdn.alpinelinux.org/alpine/v3.20/main\n";
        let with = |text: &str| Files::default().with("/etc/apk/repositories", text);
        assert_eq!(inspect(&with(main), Database::Apk, &["musl"], Reading::Absent), [""; 0]);
        let old = with("https://dl-cdn.alpinelinux.org/alpine/v3.18/main\n");
        assert_eq!(
            inspect(&old, Database::Apk, &["musl"], Reading::Absent),
            ["security-source-missing /etc/apk/repositories: setup-apkrepos"]
        );
        assert!(
            inspect(&with(main), Database::Apk, &["openrc"], Reading::Absent)[0]
                .starts_with("automatic-updates-off apk")
        );
        let cron =
            with(main).with("/etc/periodic/daily/apk", "#!/bin/sh\n/sbin/apk -U upgrade --quiet\n");
        assert_eq!(inspect(&cron, Database::Apk, &["openrc"], Reading::Absent), [""; 0]);
        let comment =
            with(main).with("/etc/crontabs/root", "# apk upgrade\n0 3 * * * apk update\n");
        assert_eq!(inspect(&comment, Database::Apk, &["openrc"], Reading::Absent).len(), 1);
        let index =
            Index { site: "dl-cdn.alpinelinux.org/alpine/v3.20/main".into(), ..Index::default() };
        let archive = Reading::Found(Archive { indices: vec![index], ..Archive::default() });
        let more = with(&format!("{main}https://m.example.org/x/y\n/media/cdrom/apks\n"));
        assert_eq!(
            inspect(&more, Database::Apk, &["musl"], archive),
            ["source-unreachable m.example.org/x/y: apk update"]
        );
    }
}
