//! The pages about what no advisory speaks of: releases and kernels without support, channels, restarts, services,
//! applications.

use muster_core::action;
use muster_core::fact::TroubleKind;
use muster_core::finding::{
    About, ApplicationFinding, ArchiveUpdate, CleartextService, Concerned, ContainerFinding,
    EndOfSupport, Finding, KernelLine, LanguageFinding, RestartOwed, Severity, Signals,
};
use muster_core::running::{Reach, Removed};
use muster_core::time::{day, days_between};
use muster_core::verdict::Verdict;
use muster_match::AdvisoryFile;

use super::{
    DONE, HOW_BAD, Item, Page, SINCE, TYPE, WHAT, advisory, commands, gone, meaning, point,
    sentence, shows_version, text,
};
use crate::report::{Report, containers, count, refresh};

pub(super) fn page(
    report: &Report,
    file: Option<&AdvisoryFile>,
    finding: &Finding,
    asked: &str,
) -> anyhow::Result<Page> {
    let release = report.release_name();
    let mut page = Page::new(if finding.title.starts_with(&release) {
        finding.title.to_string()
    } else {
        format!("{release}: {}", finding.title)
    });
    let told = match &finding.about {
        About::ArchiveUpdate(u) => archive_update(report, finding, u),
        About::EndOfSupport(e) => end_of_support(report, finding, e),
        About::KernelLine(k) => kernel_line(report, finding, k),
        About::Reboot(r) => Told {
            what: vec![text(format!("The server must be started again: {}.", r.why))],
            how_bad: vec![text(
                "Until then the old kernel or the old base libraries run, with every flaw that the update on the disk mends.",
            )],
            kind: vec![commands(["reboot".to_owned()])],
            done: vec![
                text(
                    "It compares the running kernel and what the system itself asks for (/run/reboot-required).",
                ),
                gone(&finding.id),
            ],
            ..Told::default()
        },
        About::Restart(r) => restart(finding, r),
        About::UpdateChannel(u) if u.problem == TroubleKind::KernelHeldBack => Told {
            what: vec![text(
                "The boot loader does not start the newest kernel of its kind that is installed here. Updates of the kernel arrive and are installed, and a reboot does not bring them into use.",
            )],
            how_bad: vec![text(
                "Every flaw that the newer kernel mends stays open, however often the server is started again.",
            )],
            kind: vec![
                sentence(&finding.action),
                text(
                    "Somebody may have chosen the older kernel because the newer one did not work here: ask before you reboot. Then, as root:",
                ),
                commands(["reboot".to_owned()]),
            ],
            done: vec![
                text(
                    "It reads the configuration of the boot loader: the kernel of the next boot must be the newest of its kind.",
                ),
                gone(&finding.id),
            ],
            ..Told::default()
        },
        About::UpdateChannel(_) => Told {
            what: vec![text(
                "Something keeps updates from arriving here, or from being installed by themselves. What is published from now on does not reach this server.",
            )],
            done: vec![gone(&finding.id)],
            ..Told::default()
        },
        About::ThirdParty(t) => Told {
            what: vec![
                text(
                    "No advisory of the distribution speaks for these packages: whether they have flaws must be asked where they come from.",
                ),
                text(packages(&t.packages)),
                text(format!("Origin: {}.", t.origin)),
            ],
            kind: vec![text(
                "Ask their maker for a feed of advisories, take the distribution's own package instead, or remove them.",
            )],
            done: vec![gone(&finding.id)],
            ..Told::default()
        },
        About::CleartextService(c) => cleartext(finding, c),
        About::WebApplication(a) => application(report, file, finding, a, asked)?,
        About::LanguagePackage(l) => language(report, file, finding, l, asked)?,
        About::Container(c) => container(finding, c),
        About::Advisory(_) => Told::default(),
    };
    page.add(WHAT, told.what);
    page.add(SINCE, told.since);
    let mut how_bad = told.how_bad;
    if finding.severity != Severity::Unknown {
        how_bad.push(text(format!("Muster counts it as {}.", finding.severity.name())));
    }
    page.add(HOW_BAD, how_bad);
    page.add(TYPE, if told.kind.is_empty() { advice(finding) } else { told.kind });
    page.add(DONE, told.done);
    Ok(page)
}

/// What is told of a finding, by section.
#[derive(Default)]
struct Told {
    what: Vec<Item>,
    since: Vec<Item>,
    how_bad: Vec<Item>,
    /// What to type, where the action of the finding is not enough.
    kind: Vec<Item>,
    done: Vec<Item>,
}

/// Shows the action of a finding: a command as one, an advice in words as words.
fn advice(finding: &Finding) -> Vec<Item> {
    let is_line = !finding.action.contains(", ")
        && [
            "apt-get ",
            "dnf ",
            "apk ",
            "systemctl ",
            "service ",
            "rc-service ",
            "reboot",
            "dpkg ",
            "kill ",
        ]
        .iter()
        .any(|tool| finding.action.starts_with(tool));
    match (finding.action.is_empty(), is_line) {
        (true, _) => vec![text("There is no command that mends it.")],
        (_, true) => vec![text("As root:"), commands([finding.action.to_string()])],
        (_, false) => vec![sentence(&finding.action)],
    }
}

fn packages(packages: &[Concerned]) -> String {
    let names: Vec<String> =
        packages.iter().take(20).map(|p| format!("{} {}", p.name, p.installed)).collect();
    let more = packages.len().saturating_sub(20);
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    format!("{}: {}{more}.", count(packages.len(), "package", "packages"), names.join(", "))
}

fn archive_update(report: &Report, finding: &Finding, u: &ArchiveUpdate) -> Told {
    let candidate = u.packages.first().and_then(|p| p.fixed.as_deref()).unwrap_or("?");
    let installed = u.packages.first().map_or("?", |p| &p.installed);
    let kind = if u.security { "security updates" } else { "updates" };
    let names: Vec<&str> = u.packages.iter().map(|p| &*p.name).collect();
    let mut told = Told {
        what: vec![
            text(format!(
                "The archive offers {} in {candidate}, in its {kind} ({}). Installed is {installed}.",
                u.source, u.pocket
            )),
            text(packages(&u.packages)),
        ],
        since: vec![text(
            "The lists of packages on the server tell that it is there, and not since when.",
        )],
        ..Told::default()
    };
    if !u.advisories.is_empty() {
        told.what.push(text(format!("It is known to close {}.", u.advisories.join(", "))));
    } else if u.security {
        told.how_bad.push(text("The distributor put it among its security updates and the lists say no more: count on a flaw."));
    }
    if let Some(why) = &u.kept_back {
        told.what.push(text(format!("The package manager would not install it by itself: {why}.")));
    }
    if let Some(database) = report.facts.database.found() {
        if u.kept_back.is_none() {
            told.kind = vec![
                text("As root:"),
                commands([refresh(*database).to_owned(), finding.action.to_string()]),
            ];
        }
        told.done = vec![
            text(format!(
                "It reads the package database: {} must be at {candidate} or newer. To look yourself:",
                u.source
            )),
            commands([shows_version(*database, &names)]),
        ];
    }
    told.done.push(gone(&finding.id));
    told
}

fn end_of_support(report: &Report, finding: &Finding, e: &EndOfSupport) -> Told {
    let since = e.ended.map_or_else(
        || "The calendars do not tell the day.".to_owned(),
        |d| {
            format!(
                "Support ended on {d}, {} days before this inspection.",
                days_between(d, day(report.at))
            )
        },
    );
    let paid = match (&e.needs, e.paid_until) {
        (Some(needs), Some(until)) => format!(" {needs} brings fixes until {until}."),
        (Some(needs), None) => format!(" {needs} still brings fixes."),
        (None, _) => String::new(),
    };
    Told {
        what: vec![text(format!(
            "{} {} gets no security updates any more.{paid} Each flaw found since then stays open here, and no list of advisories names it.",
            e.product, e.version
        ))],
        since: vec![text(since)],
        how_bad: vec![text(
            "Flaws that are mended in newer releases are public, with their patches: they are read by those who attack.",
        )],
        kind: vec![
            sentence(&finding.action),
            text("Until that is done, let as little as possible reach the server."),
        ],
        done: vec![
            text(
                "It reads the release of the server (/etc/os-release) and its own calendar, or finds the subscription attached.",
            ),
            gone(&finding.id),
        ],
    }
}

fn kernel_line(report: &Report, finding: &Finding, k: &KernelLine) -> Told {
    let since = k.ended.map_or_else(
        || "The record does not tell the day.".to_owned(),
        |d| {
            format!(
                "It ended on {d}, {} days before this inspection.",
                days_between(d, day(report.at))
            )
        },
    );
    let mut what = vec![text(format!(
        "The kernel line {} gets no fixes any more. The vendor's own words: {}.",
        k.line, k.word
    ))];
    if let Some(running) = &k.running {
        what.push(text(format!("It is the line of the running kernel, {running}.")));
    }
    if !k.packages.is_empty() {
        what.push(text(packages(&k.packages)));
    }
    if let Some(successor) = &k.successor {
        what.push(text(format!("The line that takes its place is {successor}.")));
    }
    Told {
        what,
        since: vec![text(since)],
        how_bad: vec![text(
            "A kernel flaw that is found now is not even counted for this line: nobody says whether it is affected.",
        )],
        done: vec![
            text(
                "The running kernel, and the one of the next boot, must be of a line that gets fixes: `uname -r` names the running one.",
            ),
            gone(&finding.id),
        ],
        ..Told::default()
    }
}

fn restart(finding: &Finding, r: &RestartOwed) -> Told {
    if let Some(removed) = r.removed {
        return removed_executable(finding, r, removed);
    }
    let unit = r.unit.as_deref().map_or(String::new(), |u| format!(" of {u}"));
    // The reason of the finding names the first of the files, which all follow here.
    let mut what = vec![text(format!(
        "The process {} ({}){unit} was started before an update, and goes on using what the update replaced or removed:",
        r.process, r.pid
    ))];
    what.extend(r.executable.iter().chain(&r.libraries).take(20).map(point));
    if !r.packages.is_empty() {
        what.push(text(format!("The packages behind it: {}.", r.packages.join(", "))));
    }
    Told {
        what,
        since: vec![text(
            "Since the update was installed: an update mends the files, not what is already running.",
        )],
        how_bad: vec![text("Whatever flaw the update mends is still open in this process.")],
        done: vec![
            text(
                "It looks at the files that the running processes use (/proc/PID/maps): none may be one that is not on the disk any more.",
            ),
            gone(&finding.id),
        ],
        ..Told::default()
    }
}

fn removed_executable(finding: &Finding, r: &RestartOwed, removed: Removed) -> Told {
    let unit = r.unit.as_deref().map_or(String::new(), |u| format!(" of {u}"));
    let (pid, is_runtime) = (r.pid, removed == Removed::Runtime);
    let how_bad = if is_runtime {
        "runc and crun start each container from such a copy, and it is gone in less than a second. Only the name says that it is one, and anybody can give that name."
    } else {
        "Updates leave no such thing behind. Programs that unpack themselves do, and so do intruders: who runs a program and removes it does not want it found."
    };
    let mut kind = Vec::new();
    if is_runtime {
        kind.push(sentence(&finding.action));
    }
    kind.extend([
        text("Do not stop it yet: with the process ends the only copy of what it runs. As root, look at it and keep a copy:"),
        Item::Commands(vec![
            format!("ls -l /proc/{pid}/exe /proc/{pid}/cwd /proc/{pid}/fd"),
            format!("tr '\\0' ' ' </proc/{pid}/cmdline"),
            format!("ps -o pid,ppid,user,lstart,args -p {pid}"),
            format!("cp /proc/{pid}/exe /root/executable-of-{pid}"),
        ]),
        text("Then find out who started it, and what the copy is. If nobody knows it, take it for an intrusion."),
    ]);
    Told {
        what: vec![text(format!("The process {} ({pid}){unit} {}.", r.process, r.why))],
        how_bad: vec![text(how_bad)],
        kind,
        done: vec![
            text(
                "It looks at what each process runs (/proc/PID/exe): it must be a file that is on the disk.",
            ),
            gone(&finding.id),
        ],
        ..Told::default()
    }
}

fn cleartext(finding: &Finding, c: &CleartextService) -> Told {
    let who = c.unit.as_ref().or(c.package.as_ref()).map_or(String::new(), |u| format!(" by {u}"));
    let reach = match c.reach {
        Reach::Loopback => "only the server itself can reach it",
        Reach::Private => "everybody in its private networks can reach it",
        Reach::Public => "as far as the address tells, everybody can reach it",
    };
    let state = if c.pid.is_some() { "listens" } else { "is configured to listen" };
    Told {
        what: vec![
            text(format!("{} {state}{who} on {} port {}: {reach}.", c.protocol, c.address, c.port)),
            text(format!("Seen in {}.", c.evidence)),
        ],
        how_bad: vec![text(
            "Who is on the way reads what is said there, passwords included, or needs none.",
        )],
        done: vec![
            text(
                "It looks at what listens and at the configuration behind it: the service must be gone, or demand encryption and a login.",
            ),
            gone(&finding.id),
        ],
        ..Told::default()
    }
}

fn application(
    report: &Report,
    file: Option<&AdvisoryFile>,
    finding: &Finding,
    a: &ApplicationFinding,
    asked: &str,
) -> anyhow::Result<Told> {
    let version = a.version.as_deref().unwrap_or("in a version that no file tells");
    let part =
        a.part_of.as_ref().map_or(String::new(), |(of, part)| format!(", a {part} of {of},"));
    let mut what = vec![text(format!(
        "{} {version}{part} lies at {}. No package manager keeps it up to date: somebody must.",
        a.product, a.path
    ))];
    what.push(text(match &a.version {
        Some(_) => format!("The version stands in {}.", a.evidence),
        None => {
            format!("It was recognised by {}; no file that is read holds its version.", a.evidence)
        }
    }));
    if let Some(account) = &a.account {
        what.push(text(format!("Its files belong to the account {account}.")));
    }
    what.push(text(match &a.served_by {
        Some(by) => format!("A web server leads to it: {by}."),
        None => "No web server's configuration that could be read leads to it.".to_owned(),
    }));
    match a.copy.as_deref() {
        Some("abandoned") => what.push(text(format!(
            "It is abandoned as far as that tells: another copy of {} is served. If nobody needs it, it is better gone.",
            a.product
        ))),
        Some(copy) => what.push(text(format!(
            "By a name on its path it is a {copy}. If nobody needs it, it is better gone."
        ))),
        None => {}
    }
    let flaws = Flaws { ids: &a.cves, signals: &a.signals, asked };
    let mut since = flaws.since(report);
    since.extend(a.ended.map(|d| {
        text(format!(
            "Its makers ended their support of this branch on {d}, {} days before this inspection.",
            days_between(d, day(report.at))
        ))
    }));
    let done = a.fixed.as_ref().map_or_else(
        || format!("It reads the version in {} again, or finds the folder gone.", a.evidence),
        |fixed| format!("It reads the version in {} again: it must be {fixed} or newer, or the folder gone.", a.evidence),
    );
    Ok(Told {
        what,
        since,
        how_bad: flaws.how_bad(report, file)?,
        kind: to_type(finding, a),
        done: vec![text(done), gone(&finding.id)],
    })
}

/// Says how a copy is brought up to date. Only what a program's own documentation spells out is given as a command.
fn to_type(finding: &Finding, a: &ApplicationFinding) -> Vec<Item> {
    if finding.action.is_empty() {
        return vec![text("There is nothing to type: nothing is known against it.")];
    }
    let mut items = vec![sentence(&finding.action)];
    let Some(to) = a.latest.as_deref().or(a.fixed.as_deref()) else { return items };
    items.push(text("Keep what is there first, and a dump of its database with it:"));
    let folder = a.path.trim_start_matches('/');
    items.push(commands([action::on("tar -C / -czf /root/before-update.tar.gz --", [folder])]));
    let slug = a.product.as_str();
    let wp = match (&a.part_of, slug) {
        (None, "wordpress") => Some((a.path.as_str(), vec!["core", "update"])),
        (Some((of, part)), _) if of == "wordpress" && (part == "plugin" || part == "theme") => {
            let site = a.path.split("/wp-content/").next().unwrap_or(&a.path);
            Some((site, vec![part.as_str(), "update", slug]))
        }
        _ => None,
    };
    if let Some((site, words)) = wp {
        // The program refuses root, and a number is no name.
        let owner = match a.account.as_deref() {
            None | Some("root" | "0") => "www-data".to_owned(),
            Some(number) if number.bytes().all(|b| b.is_ascii_digit()) => format!("#{number}"),
            Some(name) => name.to_owned(),
        };
        items.push(text("With wp-cli (wp-cli.org), as the account that owns the files:"));
        let (version, path) = (format!("--version={to}"), format!("--path={site}"));
        let mut line = vec!["sudo", "-u", owner.as_str(), "--", "wp"];
        line.extend(words);
        line.extend([version.as_str(), path.as_str()]);
        let line: Vec<_> = line.into_iter().map(action::word).collect();
        items.push(commands([line.join(" ")]));
    } else {
        items.push(text(format!(
            "Then bring {to} from its makers and follow their guide for updates: some programs also change their database, and must be told to. The folder is"
        )));
        items.push(commands([a.path.clone()]));
    }
    items
}

/// The flaws of something that no package manager keeps.
struct Flaws<'a> {
    ids: &'a [String],
    signals: &'a Signals,
    asked: &'a str,
}

impl Flaws<'_> {
    /// The one that was asked for comes first.
    fn in_order(&self) -> impl Iterator<Item = &str> {
        let is_asked = |id: &&str| id.eq_ignore_ascii_case(self.asked);
        let ids = || self.ids.iter().map(String::as_str);
        ids().filter(is_asked).chain(ids().filter(move |id| !is_asked(id)))
    }

    fn since(&self, report: &Report) -> Vec<Item> {
        let Some(date) = self.signals.published else {
            return vec![text("The records at hand do not tell when its flaws were published.")]
                .into_iter()
                .filter(|_| !self.ids.is_empty())
                .collect();
        };
        let age = days_between(date, day(report.at));
        vec![text(format!(
            "The first of its flaws was published on {date}, {age} days before this inspection."
        ))]
    }

    fn how_bad(&self, report: &Report, file: Option<&AdvisoryFile>) -> anyhow::Result<Vec<Item>> {
        /// How many are named, and of how many the claims are looked up.
        const NAMED: usize = 30;
        const LOOKED_UP: usize = 3;
        let mut items = Vec::new();
        if self.ids.is_empty() {
            return Ok(items);
        }
        let shown: Vec<&str> = self.in_order().take(NAMED).collect();
        let more = self.ids.len().saturating_sub(NAMED);
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        items.push(text(format!(
            "This version has {}: {}{more}. `muster advisory ID` shows who says so.",
            count(self.ids.len(), "known flaw", "known flaws"),
            shown.join(", ")
        )));
        let one = if self.ids.len() == 1 { "It" } else { "One of them" };
        if let Some((added, due)) = self.signals.exploited {
            let due = due.map_or(String::new(), |d| format!(", and set {d} for its end"));
            items.push(point(format!(
                "{one} is being exploited. CISA added it to its catalogue of known exploited vulnerabilities on {added}{due}."
            )));
        }
        if let Some(likelihood) = self.signals.likelihood {
            items.push(point(format!(
                "{one} has a likelihood of {:.1} % to be exploited within 30 days, by FIRST's EPSS.",
                f64::from(likelihood) * 100.0
            )));
        }
        for id in shown.iter().take(LOOKED_UP) {
            for claim in advisory::said(file, id, report)?.claims {
                items.push(point(format!("{id}: {claim}")));
            }
        }
        Ok(items)
    }
}

fn language(
    report: &Report,
    file: Option<&AdvisoryFile>,
    finding: &Finding,
    l: &LanguageFinding,
    asked: &str,
) -> anyhow::Result<Told> {
    let flaws = Flaws { ids: &l.cves, signals: &l.signals, asked };
    Ok(Told {
        what: vec![
            text(format!(
                "{} {} of {} lies at {}, where the distribution's updates do not reach it.",
                l.name, l.version, l.ecosystem, l.path
            )),
            text(meaning(finding.verdict)),
        ],
        since: flaws.since(report),
        how_bad: flaws.how_bad(report, file)?,
        done: vec![text(format!("It reads {} again.", l.path)), gone(&finding.id)],
        ..Told::default()
    })
}

fn container(finding: &Finding, c: &ContainerFinding) -> Told {
    let image = c.container.image.as_deref().map_or(String::new(), |i| format!(", made of {i}"));
    let kind = if c.container.is_image { "image" } else { "container" };
    let state = if c.container.running { "runs" } else { "is stored" };
    let mut what = vec![text(format!(
        "The {} {kind} {}{image} {state} here, with software of its own at {}. Updates of the server do not reach it.",
        c.container.runtime, c.container.name, c.container.root
    ))];
    if !c.sentence.is_empty() {
        what.push(text(c.sentence.clone()));
    }
    what.extend(c.findings.iter().take(12).map(|f| point(format!("{}: {}", f.id, f.title))));
    if c.findings.len() > 12 {
        what.push(point(format!("and {} more", c.findings.len() - 12)));
    }
    what.extend(
        c.unknown
            .iter()
            .take(12)
            .map(|u| point(format!("could not be known: {}: {}", u.what, u.why))),
    );
    let kind = if c.findings.is_empty() {
        vec![text(
            "Look at what stands in the way, above, and inspect again: until then nobody can say what it owes.",
        )]
    } else if c.container.is_system {
        vec![
            text(
                "It is a system of its own: it is brought up to date from within, as a server is.",
            ),
            commands([finding.action.to_string()]),
            text("Services in it must be started again after that, as on a server."),
        ]
    } else {
        let mut kind = vec![text(
            "Do not mend it from within: what is changed there is lost with the container.",
        )];
        if let Some(pull) = containers::pull(&c.container) {
            kind.push(text("If its image comes from a registry, bring the newest of that name:"));
            kind.push(commands([pull]));
        }
        kind.push(text("If you build the image yourself, build it anew, on a base that has the fixes and without what earlier builds left (`--pull --no-cache`)."));
        kind.push(text(if c.container.is_image {
            "Then make the containers that use it anew. An image that nothing uses is better removed."
        } else {
            "Then remove the container and make it anew from that image, with the options and volumes that it has now; what was written into it outside of volumes goes away."
        }));
        kind
    };
    Told {
        what,
        since: if c.container.is_system || c.findings.is_empty() {
            Vec::new()
        } else {
            vec![text("Since its image was built: nothing in it was updated after that day.")]
        },
        how_bad: severities(c),
        kind,
        done: vec![text("It reads the new root as it read this one."), gone(&finding.id)],
    }
}

/// Says how bad the worst of it is, by whose word.
fn severities(c: &ContainerFinding) -> Vec<Item> {
    let missing = || c.findings.iter().filter(|f| f.verdict == Verdict::Missing);
    let mut said: Vec<Item> = Vec::new();
    let exploited: Vec<&str> = missing()
        .filter(|f| matches!(&f.about, About::Advisory(a) if a.exploited.is_some()))
        .map(|f| &*f.id)
        .collect();
    if !exploited.is_empty() {
        said.push(text(format!("Known to be exploited, by CISA: {}.", exploited.join(", "))));
    }
    if let Some(worst) = missing().max_by_key(|f| f.severity)
        && worst.severity > Severity::Unknown
    {
        said.push(text(format!(
            "The worst of it is {}: {}, by the advisory {}.",
            worst.severity.name(),
            worst.title,
            worst.id
        )));
    }
    said
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_names_each_replaced_file_once() {
        let owed = RestartOwed {
            why: "uses /lib/libc.so.6, which was replaced or removed (of libc6)".into(),
            unit: Some("cron.service".into()),
            process: "cron".into(),
            pid: 40,
            executable: None,
            removed: None,
            libraries: vec!["/lib/libc.so.6".into()],
            packages: vec!["libc6".into()],
        };
        let finding = Finding {
            id: "restart:cron.service".into(),
            verdict: Verdict::Owed,
            severity: Severity::Medium,
            title: "".into(),
            action: "systemctl restart cron.service".into(),
            about: About::Restart(Box::new(owed.clone())),
        };
        let words = |told: &Told| -> String {
            let of = |item: &Item| match item {
                Item::Text(words) | Item::Point(words) | Item::Gone(words) => words.clone(),
                Item::Commands(lines) => lines.join("\n"),
            };
            told.what.iter().chain(&told.kind).map(of).collect::<Vec<_>>().join("\n")
        };
        let told = words(&restart(&finding, &owed));
        assert_eq!(told.matches("/lib/libc.so.6").count(), 1, "{told}");
        let removed = RestartOwed { removed: Some(Removed::Memory), ..owed };
        let told = words(&restart(&finding, &removed));
        assert!(told.contains("cp /proc/40/exe") && !told.contains("systemctl"), "{told}");
    }
}
