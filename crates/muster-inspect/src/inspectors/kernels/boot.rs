//! Which kernel the next boot starts, by the configuration of the boot loaders.
//!
//! Each loader that left a configuration is asked: GRUB 2 (GRUB manual, "configuration file", "The GRUB environment block"),
//! and where there is none GRUB Legacy or LILO (lilo.conf(5)); EXTLINUX (syslinux(1)); systemd-boot (loader.conf(5), the Boot
//! Loader Specification). What is not understood, or what two loaders answer differently, is unknown and never guessed. Only
//! where no configuration is found at all, a link `vmlinuz` tells, else the newest image. Choices in variables of the
//! firmware, unified kernel images, and menus below `EFI` on the system partition are not seen.

use muster_core::fact::{BootRule, BootSource, Obstacle, Reading};

use super::entries::{self, Entries};
use super::menu::{self, By, Choice, Grub};
use super::{by_version, note, release_of, text};
use crate::root::Root;

const GRUB: [&str; 2] = ["/boot/grub", "/boot/grub2"];
const ENVIRONMENTS: [&str; 3] =
    ["/boot/grub/grubenv", "/boot/grub2/grubenv", "/boot/efi/EFI/redhat/grubenv"];
const LEGACY: &str = "/boot/grub/menu.lst";
const LILO: &str = "/etc/lilo.conf";
const EXTLINUX: [&str; 3] =
    ["/boot/extlinux/extlinux.conf", "/boot/extlinux.conf", "/boot/syslinux/syslinux.cfg"];
/// A menu with two thousand entries is shorter.
const MAX_MENU: u64 = 1 << 20;

/// The kernels that are there.
pub(super) struct Kernels<'k> {
    /// The releases of the images in `/boot`.
    pub(super) bootable: &'k [String],
    /// The releases of all images and modules.
    pub(super) all: &'k [String],
}

/// What one boot loader answers: a release, or why it cannot be told.
struct Told {
    source: BootSource,
    release: Result<String, Obstacle>,
}

impl Told {
    fn new(rule: BootRule, file: &str, release: Result<String, String>) -> Self {
        let release = release.map_err(|why| Obstacle::new(file, why));
        Self { source: BootSource { rule, file: file.to_owned() }, release }
    }

    fn unread(rule: BootRule, obstacle: Obstacle) -> Self {
        let source = BootSource { rule, file: obstacle.what.clone() };
        Self { source, release: Err(obstacle) }
    }
}

/// Returns the release of the kernel that the next boot starts, and what says so.
pub(super) fn next_boot(
    root: &dyn Root,
    kernels: &Kernels<'_>,
    obstacles: &mut Vec<Obstacle>,
) -> (Reading<String>, Option<BootSource>) {
    let boot = Boot { root, kernels, entries: entries::read(root, obstacles) };
    let environment = Environment::read(root, obstacles);
    let told = boot.grub(&environment).or_else(|| boot.legacy()).or_else(|| boot.lilo());
    let of_grub = [BootRule::Grub, BootRule::Custom, BootRule::GrubSaved, BootRule::GrubOnce];
    let has_grub = told.as_ref().is_some_and(|t| of_grub.contains(&t.source.rule));
    let told: Vec<Told> =
        [told, boot.extlinux(), boot.systemd_boot(has_grub)].into_iter().flatten().collect();
    let told = match agreed(told) {
        Some(told) => told,
        None => match boot.without() {
            Some(told) => told,
            None => return (Reading::Absent, None),
        },
    };
    match told.release {
        Ok(release) => (Reading::Found(release), Some(told.source)),
        Err(mut obstacle) => {
            if !obstacles.contains(&obstacle) {
                obstacle.why =
                    format!("the kernel of the next boot is not known: {}", obstacle.why);
                obstacles.push(obstacle.clone());
            }
            (Reading::Unknown(obstacle), None)
        }
    }
}

/// Returns what the loaders agree on: the first of the answers, unless another differs or one cannot be told.
fn agreed(told: Vec<Told>) -> Option<Told> {
    let differs = |a: &Told, b: &Told| matches!((&a.release, &b.release), (Ok(a), Ok(b)) if a != b);
    let mut all = told.into_iter();
    let mut first = all.next()?;
    for other in all {
        if first.release.is_err() {
            break;
        }
        if differs(&first, &other) {
            let why = format!(
                "another kernel than by {}; it depends on which of the two boot loaders the firmware starts",
                first.source.file
            );
            first = Told::new(other.source.rule, &other.source.file, Err(why));
        } else if other.release.is_err() {
            first = other;
        }
    }
    Some(first)
}

/// What GRUB saved in its environment block.
struct Environment {
    is_there: bool,
    next: Option<(String, &'static str)>,
    saved: Option<(String, &'static str)>,
}

impl Environment {
    fn read(root: &dyn Root, obstacles: &mut Vec<Obstacle>) -> Self {
        let mut environment = Self { is_there: false, next: None, saved: None };
        for path in ENVIRONMENTS {
            let text = note(text(root, path), obstacles);
            environment.is_there |= !text.is_empty();
            let value = |key: &str| {
                let value = text.lines().find_map(|line| line.strip_prefix(key))?.trim();
                (!value.is_empty()).then(|| (value.to_owned(), path))
            };
            environment.next = environment.next.or_else(|| value("next_entry="));
            environment.saved = environment.saved.or_else(|| value("saved_entry="));
        }
        environment
    }
}

struct Boot<'b> {
    root: &'b dyn Root,
    kernels: &'b Kernels<'b>,
    entries: Entries,
}

impl Boot<'_> {
    fn grub(&self, environment: &Environment) -> Option<Told> {
        for folder in GRUB {
            let file = format!("{folder}/grub.cfg");
            match self.menu(&file) {
                Reading::Found(text) if text.trim().is_empty() => {}
                Reading::Found(text) => {
                    return Some(self.grub_menu(folder, &file, &text, environment));
                }
                Reading::Absent => {}
                Reading::Unknown(obstacle) => {
                    return Some(Told::unread(BootRule::Grub, obstacle));
                }
            }
        }
        if !environment.is_there {
            return None;
        }
        Some(self.grub_without_menu(environment))
    }

    fn grub_menu(&self, folder: &str, file: &str, text: &str, environment: &Environment) -> Told {
        let mut menu = Grub::read(text);
        let custom = format!("{folder}/custom.cfg");
        let mut in_custom = false;
        if menu.takes_custom {
            match self.menu(&custom) {
                Reading::Found(text) => in_custom = menu.take(&text),
                Reading::Absent => {}
                Reading::Unknown(obstacle) => return Told::unread(BootRule::Grub, obstacle),
            }
        }
        if let Some(line) = menu.stranger {
            let why = format!("takes in another file, which is not followed: {line}");
            return Told::new(BootRule::Grub, file, Err(why));
        }
        menu.add_entries(&self.entries);
        let next = environment.next.as_ref();
        let saved = environment.saved.as_ref();
        let Some((choice, by)) = menu.choice(next.map(|n| &*n.0), saved.map(|s| &*s.0)) else {
            return Told::new(BootRule::Grub, file, Err("has no entry that is understood".into()));
        };
        let release = self.release(&choice);
        let (rule, file) = match (by, next, saved) {
            (By::Next, Some((_, file)), _) => (BootRule::GrubOnce, *file),
            (By::Saved, _, Some((_, file))) => (BootRule::GrubSaved, *file),
            _ if in_custom => (BootRule::Custom, custom.as_str()),
            _ => (BootRule::Grub, file),
        };
        // What the entry starts stands in the menu, whoever chose it.
        Told::new(rule, file, release)
    }

    /// Where the menu is on the system partition, its own entries are those of the specification, and a saved choice is a
    /// title or an id that names the release.
    fn grub_without_menu(&self, environment: &Environment) -> Told {
        let chosen =
            [(BootRule::GrubOnce, &environment.next), (BootRule::GrubSaved, &environment.saved)];
        for (rule, chosen) in chosen {
            let Some((chosen, file)) = chosen else { continue };
            let by_entry = self.entries.by_id(chosen).and_then(|e| e.release(self.kernels.all));
            let named = self.kernels.bootable.iter().find(|r| names(chosen, r)).cloned();
            if let Some(release) = by_entry.or(named) {
                return Told::new(rule, file, Ok(release));
            }
        }
        let why =
            "GRUB is there, and its menu (grub.cfg) was not found in /boot/grub or /boot/grub2";
        let there = environment.saved.as_ref().or(environment.next.as_ref());
        Told::new(BootRule::Grub, there.map_or("/boot/grub2/grubenv", |t| t.1), Err(why.into()))
    }

    fn legacy(&self) -> Option<Told> {
        self.by_menu(BootRule::GrubLegacy, LEGACY, menu::legacy)
    }

    fn lilo(&self) -> Option<Told> {
        self.by_menu(BootRule::Lilo, LILO, menu::lilo)
    }

    fn extlinux(&self) -> Option<Told> {
        EXTLINUX.iter().find_map(|path| self.by_menu(BootRule::Extlinux, path, menu::extlinux))
    }

    fn by_menu(
        &self,
        rule: BootRule,
        path: &str,
        read: fn(&str) -> Option<Choice>,
    ) -> Option<Told> {
        match self.menu(path) {
            Reading::Found(text) if text.trim().is_empty() => None,
            Reading::Found(text) => Some(match read(&text) {
                Some(choice) => Told::new(rule, path, self.release(&choice)),
                None => Told::new(rule, path, Err("has no entry that is understood".into())),
            }),
            Reading::Absent => None,
            Reading::Unknown(obstacle) => Some(Told::unread(rule, obstacle)),
        }
    }

    fn systemd_boot(&self, has_grub: bool) -> Option<Told> {
        let loader = entries::FOLDERS.iter().find_map(|folder| {
            let path = format!("{folder}/loader.conf");
            match text(self.root, &path) {
                Reading::Found(text) => Some((path, text)),
                Reading::Absent | Reading::Unknown(_) => None,
            }
        });
        // Entries without a loader.conf beside them are GRUB's, where that one is there.
        if loader.is_none() && (has_grub || self.entries.is_empty()) {
            return None;
        }
        let (file, text) =
            loader.unwrap_or_else(|| (self.entries.folder().to_owned(), String::new()));
        let choice = match menu::loader_default(&text) {
            menu::Default::Firmware => {
                return Some(match self.entries.only_release(self.kernels.all) {
                    Some(release) => Told::new(BootRule::SystemdBoot, &file, Ok(release)),
                    None => {
                        let why =
                            "leaves the choice to a variable of the firmware, which no file holds";
                        Told::new(BootRule::SystemdBoot, &file, Err(why.into()))
                    }
                });
            }
            menu::Default::Pattern(pattern) if pattern.ends_with(".efi") => {
                let why = format!("starts {pattern}, a unified image, which is not looked into");
                return Some(Told::new(BootRule::SystemdBoot, &file, Err(why)));
            }
            menu::Default::Pattern(pattern) => self.entries.matching(pattern),
            menu::Default::None => None,
        };
        let Some(entry) = choice.or_else(|| self.entries.first()) else {
            let why = "has no entries of the Boot Loader Specification beside it: unified images are not looked into";
            return Some(Told::new(BootRule::SystemdBoot, &file, Err(why.into())));
        };
        let release = entry.release(self.kernels.all).ok_or_else(|| {
            format!("starts the entry {}, which names no kernel of Linux by its version", entry.id)
        });
        Some(Told::new(BootRule::SystemdBoot, &file, release))
    }

    /// Without any configuration: the links that distributors keep for boot loaders outside, else the newest.
    fn without(&self) -> Option<Told> {
        let mut told: Vec<Told> = Vec::new();
        for path in ["/vmlinuz", "/boot/vmlinuz"] {
            let Reading::Found(target) = self.root.link(path) else { continue };
            if let Some(release) = release_of(file_name(&target)) {
                told.push(Told::new(BootRule::Link, path, Ok(release.to_owned())));
            }
        }
        agreed(told).or_else(|| {
            // Only root may look at most system partitions: what is there is then not known to be nothing.
            let unread = entries::FOLDERS.iter().find_map(|folder| {
                match text(self.root, &format!("{folder}/loader.conf")) {
                    Reading::Unknown(obstacle) => {
                        Some(Told::unread(BootRule::SystemdBoot, obstacle))
                    }
                    Reading::Found(_) | Reading::Absent => None,
                }
            });
            if unread.is_some() {
                return unread;
            }
            let newest = self.kernels.bootable.iter().max_by(|a, b| by_version(a, b))?;
            Some(Told::new(BootRule::Newest, "/boot", Ok(newest.clone())))
        })
    }

    /// Tells the release of what an entry starts.
    fn release(&self, choice: &Choice) -> Result<String, String> {
        let image = match choice {
            Choice::Release(release) => return Ok(release.clone()),
            Choice::Image(image) => image,
            Choice::Other(title) => {
                return Err(format!(
                    "the entry {:?}, which starts when nobody chooses another, has no image of Linux",
                    title.chars().take(100).collect::<String>()
                ));
            }
        };
        if let Some(release) = release_of(image) {
            return Ok(release.to_owned());
        }
        if let Some(release) = self.linked(image) {
            return Ok(release);
        }
        let is_linux = ["vmlinu", "bzImage", "zImage", "Image", "kernel", "linux"]
            .iter()
            .any(|name| image.starts_with(name));
        // `vmlinuz-lts` is of whichever release of that flavour is there; one without any word of the only one.
        let flavour = image.split_once('-').map(|(_, flavour)| format!("-{flavour}"));
        let fits = |release: &&String| flavour.as_ref().is_none_or(|f| release.ends_with(f));
        let mut fitting = self.kernels.all.iter().filter(fits);
        match (is_linux, fitting.next(), fitting.next()) {
            (true, Some(release), None) => Ok(release.clone()),
            _ => Err(format!(
                "{:?} starts when nobody chooses another, whose name tells no version of Linux",
                image.chars().take(100).collect::<String>()
            )),
        }
    }

    /// Follows an image without a version in its name, where it is a link.
    fn linked(&self, image: &str) -> Option<String> {
        let mut found: Option<String> = None;
        for folder in ["", "/boot"] {
            let Reading::Found(target) = self.root.link(&format!("{folder}/{image}")) else {
                continue;
            };
            let release = release_of(file_name(&target))?.to_owned();
            if found.as_ref().is_some_and(|known| *known != release) {
                return None;
            }
            found = Some(release);
        }
        found
    }

    fn menu(&self, path: &str) -> Reading<String> {
        match self.root.read(path, MAX_MENU) {
            Reading::Found(bytes) => Reading::Found(String::from_utf8_lossy(&bytes).into_owned()),
            Reading::Absent => Reading::Absent,
            Reading::Unknown(obstacle) => Reading::Unknown(obstacle),
        }
    }
}

pub(super) fn file_name(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

/// Tells whether a menu entry names this release: `gnulinux-6.1.0-18-amd64-advanced-…`, and no longer one.
fn names(entry: &str, release: &str) -> bool {
    entry.match_indices(release).any(|(at, _)| {
        let before = entry.get(..at).and_then(|e| e.chars().next_back());
        let after = entry.get(at + release.len()..).unwrap_or_default();
        let ends = after.is_empty()
            || after.starts_with([' ', '>', '\'', '"', ')'])
            || after.starts_with("-advanced")
            || after.starts_with("-recovery");
        ends && !before.is_some_and(|c| c.is_ascii_digit() || c == '.')
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::inspectors::apt::testing::Files;

    const OLD: &str = "6.1.0-10-amd64";
    const NEW: &str = "6.1.0-20-amd64";

    /// Returns the answer, with the rule and the file, or why there is none.
    fn told(files: &[(&str, &str)], links: &[(&str, &str)]) -> String {
        let mut root = Files::of(files);
        for (path, target) in links {
            Files::link(&mut root, path, target);
        }
        let both = [OLD.to_owned(), NEW.to_owned()];
        let kernels = Kernels { bootable: &both, all: &both };
        let mut obstacles = Vec::new();
        match next_boot(&root, &kernels, &mut obstacles) {
            (Reading::Found(release), Some(by)) => {
                assert_eq!(obstacles, []);
                format!("{release} {:?} {}", by.rule, by.file)
            }
            (Reading::Unknown(obstacle), None) => {
                assert_eq!(obstacles.first(), Some(&obstacle), "it is told as unknown");
                assert_eq!(obstacles.len(), 1);
                format!("unknown: {}: {}", obstacle.what, obstacle.why)
            }
            other => format!("{other:?}"),
        }
    }

    fn grub(default: &str, more: &str) -> String {
        format!(
            "set default=\"{default}\"\nmenuentry 'new' --id new {{\nlinux /vmlinuz-{NEW}\n}}\nmenuentry 'old' {{\nlinux /vmlinuz-{OLD}\n}}\nmenuentry 'memtest' {{\nlinux16 /memtest86+.bin\n}}\n{more}"
        )
    }

    const CUSTOM: &str = "if [ -f  ${config_directory}/custom.cfg ]; then\n  source ${config_directory}/custom.cfg\nelif [ -f $prefix/custom.cfg ]; then\n  source $prefix/custom.cfg\nfi\n";

    #[test]
    fn grub_is_read_with_what_it_takes_in() {
        let cfg = "boot/grub/grub.cfg";
        assert_eq!(told(&[(cfg, &grub("1", ""))], &[]), format!("{OLD} Grub /boot/grub/grub.cfg"));
        let memtest = told(&[(cfg, &grub("2", ""))], &[]);
        assert!(memtest.starts_with("unknown: /boot/grub/grub.cfg: "), "{memtest}");
        assert!(memtest.contains("memtest86+.bin"), "{memtest}");
        let custom = ("boot/grub/custom.cfg", "set default=1\n");
        assert_eq!(
            told(&[(cfg, &grub("0", CUSTOM)), custom], &[]),
            format!("{OLD} Custom /boot/grub/custom.cfg")
        );
        assert_eq!(
            told(&[(cfg, &grub("0", "")), custom], &[]),
            format!("{NEW} Grub /boot/grub/grub.cfg"),
            "a file that is not taken in says nothing"
        );
        assert_eq!(
            told(&[(cfg, &grub("0", CUSTOM))], &[]),
            format!("{NEW} Grub /boot/grub/grub.cfg")
        );
        let stub = told(&[(cfg, "search.fs_uuid X root\nconfigfile $prefix/grub.cfg\n")], &[]);
        assert!(stub.contains("takes in another file"), "{stub}");
        let saved = ("boot/grub/grubenv", "saved_entry=old\n");
        assert_eq!(
            told(&[(cfg, &grub("${saved_entry}", "")), saved], &[]),
            format!("{OLD} GrubSaved /boot/grub/grubenv")
        );
        let nothing = told(&[(cfg, "set timeout=5\n")], &[]);
        assert!(nothing.contains("no entry that is understood"), "{nothing}");
        let unseen = told(&[("boot/grub2/grubenv", "saved_entry=0\n")], &[]);
        assert!(unseen.contains("was not found"), "{unseen}");
    }

    #[test]
    fn entries_of_the_specification_are_grubs_in_the_order_of_their_versions() {
        let cfg = ("boot/grub2/grub.cfg", "set default=\"${saved_entry}\"\nblscfg\n");
        let entry = |release: &str| {
            format!("title {release}\nversion {release}\nlinux /vmlinuz-{release}\n")
        };
        let (old, new) = (entry(OLD), entry(NEW));
        let old = ("boot/loader/entries/m-6.1.0-10-amd64.conf", old.as_str());
        let new = ("boot/loader/entries/m-6.1.0-20-amd64.conf", new.as_str());
        for (saved, expected) in [
            ("saved_entry=m-6.1.0-10-amd64\n", format!("{OLD} GrubSaved /boot/grub2/grubenv")),
            ("saved_entry=1\n", format!("{OLD} GrubSaved /boot/grub2/grubenv")),
            ("saved_entry=0\n", format!("{NEW} GrubSaved /boot/grub2/grubenv")),
            ("x=\n", format!("{NEW} Grub /boot/grub2/grub.cfg")),
        ] {
            let files = [cfg, old, new, ("boot/grub2/grubenv", saved)];
            assert_eq!(told(&files, &[]), expected, "{saved}");
        }
    }

    #[test]
    fn systemd_boot_is_read_in_the_layout_of_kernel_install() {
        for folder in ["boot", "boot/efi", "efi"] {
            let entry = |release: &str, tries: &str| {
                (
                    format!("{folder}/loader/entries/m-{release}{tries}.conf"),
                    format!("title Debian\nversion {release}\nlinux /m/{release}/linux\n"),
                )
            };
            let loader = format!("{folder}/loader/loader.conf");
            for (default, tries, expected) in [
                ("default m-6.1.0-10-amd64.conf\n", "", OLD),
                ("default m-6.1.0-10-*\n", "", OLD),
                ("default m-*\n", "", NEW),
                ("timeout 3\n", "", NEW),
                ("default m-*\n", "+0-3", OLD),
                ("default m-*\n", "+2-1", NEW),
                ("timeout 3\n", "+0", OLD),
                ("default m-6.1.0-20-amd64.conf\n", "+0-3", OLD),
            ] {
                let (old, new) = (entry(OLD, ""), entry(NEW, tries));
                let files = [(&*loader, default), (&*old.0, &*old.1), (&*new.0, &*new.1)];
                assert_eq!(
                    told(&files, &[]),
                    format!("{expected} SystemdBoot /{loader}"),
                    "{default} {tries}"
                );
            }
            let (old, new) = (entry(OLD, ""), entry(NEW, ""));
            let files = [(&*loader, "default @saved\n"), (&*old.0, &*old.1), (&*new.0, &*new.1)];
            assert!(told(&files, &[]).contains("variable of the firmware"));
            let files = [(&*loader, "default x.efi\n"), (&*old.0, &*old.1)];
            assert!(told(&files, &[]).contains("unified image"));
            let shell = format!("{folder}/loader/entries/shell.conf");
            let files = [(&*loader, "default shell*\n"), (&*shell, "title x\nefi /shell.efi\n")];
            assert!(told(&files, &[]).contains("names no kernel"));
            // The version stands in the path alone.
            let bare = format!("linux /m/{OLD}/linux\n");
            assert!(told(&[(&*loader, ""), (&*old.0, &bare)], &[]).starts_with(OLD));
        }
    }

    #[test]
    fn older_loaders_and_links_are_read_and_the_newest_is_the_last_resort() {
        let menu = format!(
            "default 1\n# title comment\ntitle new\nroot (hd0,0)\nkernel /vmlinuz-{NEW} ro\ntitle old\nkernel (hd0,0)/boot/vmlinuz-{OLD} ro\n"
        );
        assert_eq!(
            told(&[("boot/grub/menu.lst", &menu)], &[]),
            format!("{OLD} GrubLegacy /boot/grub/menu.lst")
        );
        let saved = menu.replace("default 1", "default saved");
        assert!(
            told(&[("boot/grub/menu.lst", &saved)], &[])
                .starts_with("unknown: /boot/grub/menu.lst")
        );
        let lilo = format!(
            "boot=/dev/sda\ndefault = \"old\"\nimage=/boot/vmlinuz-{NEW}\n label=new\nimage=/vmlinuz.old\n\tlabel=old\n"
        );
        assert_eq!(
            told(&[("etc/lilo.conf", &lilo)], &[("vmlinuz.old", &format!("boot/vmlinuz-{OLD}"))]),
            format!("{OLD} Lilo /etc/lilo.conf")
        );
        let target = format!("boot/vmlinuz-{OLD}");
        assert_eq!(told(&[], &[("vmlinuz", &target)]), format!("{OLD} Link /vmlinuz"));
        let target = format!("vmlinuz-{OLD}");
        assert_eq!(told(&[], &[("boot/vmlinuz", &target)]), format!("{OLD} Link /boot/vmlinuz"));
        let both = [("boot/vmlinuz", &*target), ("vmlinuz", "boot/vmlinuz-6.1.0-20-amd64")];
        assert!(told(&[], &both).starts_with("unknown: /boot/vmlinuz"));
        assert_eq!(told(&[], &[]), format!("{NEW} Newest /boot"));
    }

    #[test]
    fn loaders_that_differ_are_unknown_and_name_both() {
        let loader = [
            ("boot/efi/loader/loader.conf", "default m-6.1.0-10-amd64.conf\n"),
            ("boot/efi/loader/entries/m-6.1.0-10-amd64.conf", "linux /m/6.1.0-10-amd64/linux\n"),
        ];
        let with = |default: &str| {
            let grub = grub(default, "");
            told(&[loader[0], loader[1], ("boot/grub/grub.cfg", &grub)], &[])
        };
        assert!(with("1").starts_with(OLD), "{}", with("1"));
        let differ = with("0");
        assert!(differ.starts_with("unknown: /boot/efi/loader/loader.conf"), "{differ}");
        assert!(differ.contains("/boot/grub/grub.cfg"), "{differ}");
    }

    #[test]
    fn an_image_without_a_version_is_of_the_only_release_of_its_flavour() {
        let extlinux = |image: &str, all: &[&str]| {
            let text = format!("DEFAULT x\nLABEL x\n LINUX {image}\n");
            let root = Files::of(&[("boot/extlinux.conf", &text)]);
            let all: Vec<String> = all.iter().map(|r| (*r).to_owned()).collect();
            let kernels = Kernels { bootable: &[], all: &all };
            next_boot(&root, &kernels, &mut Vec::new()).0.found().cloned()
        };
        let (lts, virt) = ("6.6.32-0-lts", "6.6.32-0-virt");
        assert_eq!(extlinux("vmlinuz-lts", &[lts, virt]).as_deref(), Some(lts));
        assert_eq!(extlinux("/boot/vmlinuz", &[lts]).as_deref(), Some(lts));
        assert_eq!(extlinux("/boot/vmlinuz", &[lts, virt]), None);
        assert_eq!(extlinux("memtest", &[lts]), None);
    }

    #[test]
    fn a_menu_entry_names_one_release() {
        let entry = "gnulinux-advanced-x>gnulinux-6.1.0-18-amd64-advanced-x";
        assert!(names(entry, "6.1.0-18-amd64"));
        assert!(!names(entry, "1.0-18-amd64"));
        assert!(!names("gnulinux-6.1.0-18-amd64-unsigned", "6.1.0-18-amd64"));
        assert!(names("Ubuntu, with Linux 5.15.0-91-generic", "5.15.0-91-generic"));
        assert!(names("CentOS Linux (3.10.0-1160.el7.x86_64) 7 (Core)", "3.10.0-1160.el7.x86_64"));
    }
}
