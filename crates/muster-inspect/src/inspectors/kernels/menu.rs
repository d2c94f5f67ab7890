//! What a boot loader's menu starts when nobody chooses: `grub.cfg` as grub-mkconfig writes it (GRUB manual, "default",
//! "menuentry", "submenu"), `menu.lst` (GRUB Legacy manual), `lilo.conf` (lilo.conf(5)), `extlinux.conf` and `syslinux.cfg`
//! (syslinux(1)), the default of systemd-boot's `loader.conf` (loader.conf(5)).
//!
//! `grub.cfg` is a script: its assignments of `default` and its entries are read, its conditions and functions are not run.
//! Of what it takes in by `configfile` or `source` only `custom.cfg` is followed; any other makes the menu one that is not
//! understood, save within an entry, and `user.cfg`, which holds a password.

use super::entries::Entries;

/// What a menu comes to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Choice {
    /// A release.
    Release(String),
    /// The name of an image's file.
    Image(String),
    /// An entry that starts no image of Linux.
    Other(String),
}

/// Who chose the entry of a menu of GRUB.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum By {
    /// An entry that was saved for one boot.
    Next,
    /// One that was saved until another is.
    Saved,
    /// The menu itself.
    Menu,
}

/// A menu of GRUB.
#[derive(Debug, Default)]
pub(super) struct Grub {
    entries: Vec<Entry>,
    /// What `default` is set to where nothing was saved for one boot.
    default: Option<String>,
    /// Whether an entry saved for one boot comes first.
    takes_next: bool,
    /// Before which entry those of the Boot Loader Specification come, if they do.
    others_at: Option<usize>,
    /// Whether it takes in `custom.cfg`.
    pub(super) takes_custom: bool,
    /// The line by which it takes in another file.
    pub(super) stranger: Option<String>,
}

#[derive(Debug, Default)]
struct Entry {
    title: String,
    id: Option<String>,
    image: Option<String>,
    release: Option<String>,
    /// What is in a submenu.
    entries: Vec<Self>,
    is_menu: bool,
}

/// How deep submenus are.
const MAX_DEPTH: usize = 8;
/// How many entries a menu has.
const MAX_ENTRIES: usize = 2000;

impl Grub {
    /// Reads the script.
    pub(super) fn read(text: &str) -> Self {
        let mut menu = Self::default();
        menu.take(text);
        menu
    }

    /// Goes on with another file; tells whether it sets the default.
    pub(super) fn take(&mut self, text: &str) -> bool {
        let before = (self.default.take(), self.takes_next);
        let menu = self;
        let mut open: Vec<Entry> = Vec::new();
        // Braces of functions within, whose end is no end of an entry.
        let mut functions = 0_usize;
        let mut count = 0;
        for line in text.lines() {
            let line = line.trim();
            let command = line.split_whitespace().next().unwrap_or_default();
            match command {
                "menuentry" | "submenu" if count < MAX_ENTRIES && open.len() < MAX_DEPTH => {
                    count += 1;
                    let words = words(line);
                    let id = words.iter().position(|w| w == "--id" || w == "$menuentry_id_option");
                    open.push(Entry {
                        title: words.get(1).cloned().unwrap_or_default(),
                        id: id.and_then(|at| words.get(at + 1).cloned()),
                        is_menu: command == "submenu",
                        ..Entry::default()
                    });
                }
                "function" => functions += 1,
                "}" if functions > 0 => functions -= 1,
                "}" => {
                    let Some(entry) = open.pop() else { continue };
                    match open.last_mut() {
                        Some(above) => above.entries.push(entry),
                        None => menu.entries.push(entry),
                    }
                }
                "linux" | "linux16" | "linuxefi" => {
                    if let (Some(entry), Some(path)) = (open.last_mut(), words(line).get(1)) {
                        entry.image.get_or_insert_with(|| file_name(path));
                    }
                }
                // Xen is started with Linux as its module.
                "module" | "module2" | "xen_module" => {
                    let path = words(line).into_iter().skip(1).find(|word| !word.starts_with('-'));
                    let image = path.map(|path| file_name(&path));
                    if let (Some(entry), Some(image)) = (open.last_mut(), image)
                        && image.starts_with("vmlinu")
                    {
                        entry.image.get_or_insert(image);
                    }
                }
                "blscfg" => {
                    menu.others_at.get_or_insert(menu.entries.len());
                }
                "source" | "configfile" | "." | "normal" if open.is_empty() && functions == 0 => {
                    menu.take_in(line);
                }
                "set" if functions == 0 => menu.assign(line),
                _ => {}
            }
        }
        let sets = menu.default.is_some();
        menu.default = menu.default.take().or(before.0);
        menu.takes_next |= before.1;
        sets
    }

    fn take_in(&mut self, line: &str) {
        let path = words(line).into_iter().nth(1).unwrap_or_default();
        match path.rsplit('/').next().unwrap_or_default() {
            "custom.cfg" => self.takes_custom = true,
            "user.cfg" => {}
            _ => {
                self.stranger.get_or_insert_with(|| line.chars().take(100).collect());
            }
        }
    }

    /// Puts the entries of the Boot Loader Specification where the script asks for them.
    pub(super) fn add_entries(&mut self, entries: &Entries) {
        let Some(at) = self.others_at else { return };
        let others = entries.iter().map(|entry| Entry {
            title: entry.title.clone().unwrap_or_default(),
            id: Some(entry.id.clone()),
            release: entry.release(&[]),
            image: entry.linux.as_deref().map(file_name),
            ..Entry::default()
        });
        let after = self.entries.split_off(at.min(self.entries.len()));
        self.entries.extend(others);
        self.entries.extend(after);
    }

    fn assign(&mut self, line: &str) {
        let assigned = words(line);
        let Some(value) = assigned.get(1).and_then(|word| word.strip_prefix("default=")) else {
            return;
        };
        if value.contains("next_entry") {
            self.takes_next = true;
        } else if !value.is_empty() {
            self.default = Some(value.to_owned());
        }
    }

    /// Returns what the next boot starts, by what GRUB saved in its environment, and who chose it.
    pub(super) fn choice(&self, next: Option<&str>, saved: Option<&str>) -> Option<(Choice, By)> {
        let default = self.default.as_deref().unwrap_or("0");
        let default = if default.contains("saved_entry") {
            saved.map(|saved| (saved, By::Saved))
        } else {
            Some((default, By::Menu))
        };
        let wanted = next.filter(|_| self.takes_next).map(|next| (next, By::Next)).or(default);
        // What is not there, GRUB answers with its first entry.
        let found = wanted.and_then(|(wanted, by)| Some((find(&self.entries, wanted)?, by)));
        let (mut entry, by) = found.or(self.entries.first().map(|first| (first, By::Menu)))?;
        // Of a menu that was chosen as a whole, the first.
        while entry.is_menu {
            entry = entry.entries.first()?;
        }
        let choice = match (&entry.release, &entry.image) {
            (Some(release), _) => Choice::Release(release.clone()),
            (None, Some(image)) => Choice::Image(image.clone()),
            (None, None) => Choice::Other(entry.title.clone()),
        };
        Some((choice, by))
    }
}

/// Finds an entry by its number, title or id; `>` leads into a submenu.
fn find<'e>(entries: &'e [Entry], wanted: &str) -> Option<&'e Entry> {
    let by_name = |name: &str| {
        entries.iter().find(|e| e.title == name || e.id.as_deref() == Some(name)).or_else(|| {
            let number: usize = name.parse().ok()?;
            entries.get(number)
        })
    };
    if let Some(found) = by_name(wanted) {
        return Some(found);
    }
    // A title may hold the sign itself.
    wanted.match_indices('>').find_map(|(at, _)| {
        let above = by_name(wanted.get(..at)?)?;
        find(&above.entries, wanted.get(at + 1..)?)
    })
}

/// Splits a line as a shell does, as far as quotes go.
fn words(line: &str) -> Vec<String> {
    let mut words = Vec::new();
    let (mut word, mut is_word) = (String::new(), false);
    let mut quote = None;
    let mut characters = line.chars();
    while let Some(c) = characters.next() {
        match (quote, c) {
            (Some(q), c) if c == q => quote = None,
            (None, '\'' | '"') => (quote, is_word) = (Some(c), true),
            (None | Some('"'), '\\') => word.extend(characters.next()),
            (None, c) if c.is_whitespace() => {
                if is_word {
                    words.push(std::mem::take(&mut word));
                }
                is_word = false;
            }
            (_, c) => {
                word.push(c);
                is_word = true;
            }
        }
    }
    if is_word {
        words.push(word);
    }
    words
}

fn file_name(path: &str) -> String {
    path.rsplit('/').next().unwrap_or(path).to_owned()
}

/// Reads a configuration of SYSLINUX or EXTLINUX, or U-Boot's of the same form.
pub(super) fn extlinux(text: &str) -> Option<Choice> {
    let (mut default, mut marked) = (None, None);
    // The name of each entry with its image.
    let mut labels: Vec<(&str, Option<String>)> = Vec::new();
    for line in text.lines() {
        let line = line.trim();
        let (key, value) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
        let value = value.trim();
        match key.to_ascii_lowercase().as_str() {
            "default" | "ontimeout" => default = Some(value),
            "label" if labels.len() < MAX_ENTRIES => labels.push((value, None)),
            "menu" if value.eq_ignore_ascii_case("default") => {
                marked = labels.last().map(|(name, _)| *name);
            }
            "linux" | "kernel" => {
                if let Some((_, image)) = labels.last_mut() {
                    image.get_or_insert_with(|| file_name(value));
                }
            }
            _ => {}
        }
    }
    let by_name = |name: &str| labels.iter().find(|(label, _)| *label == name);
    let (name, image) = marked.and_then(by_name).or(default.and_then(by_name)).or(labels.first())?;
    Some(image.clone().map_or_else(|| Choice::Other((*name).to_owned()), Choice::Image))
}

/// Reads a menu of GRUB Legacy: `default` counts the titles from 0.
pub(super) fn legacy(text: &str) -> Option<Choice> {
    let mut default = "0";
    let mut entries: Vec<(&str, Option<String>)> = Vec::new();
    for line in text.lines() {
        let line = line.trim();
        let (key, value) =
            line.split_once(|c: char| c.is_whitespace() || c == '=').unwrap_or((line, ""));
        let value = value.trim_matches(|c: char| c.is_whitespace() || c == '=');
        match key {
            "default" if entries.is_empty() => default = value,
            "title" if entries.len() < MAX_ENTRIES => entries.push((value, None)),
            "kernel" | "module" => {
                let image = value.split_whitespace().find(|word| !word.starts_with('-'));
                let Some(image) = image.map(file_name) else { continue };
                let Some((_, known)) = entries.last_mut() else { continue };
                // Xen is started with Linux as its module.
                if key == "kernel" || image.starts_with("vmlinu") {
                    *known = Some(image);
                }
            }
            _ => {}
        }
    }
    let Ok(number) = default.parse::<usize>() else {
        return Some(Choice::Other(format!("default {default}")));
    };
    let (title, image) = entries.get(number).or(entries.first())?;
    Some(image.clone().map_or_else(|| Choice::Other((*title).to_owned()), Choice::Image))
}

/// Reads the configuration of LILO: `default` names a label, else the first image starts.
pub(super) fn lilo(text: &str) -> Option<Choice> {
    let mut default = None;
    let mut entries: Vec<(Vec<String>, Option<String>)> = Vec::new();
    for line in text.lines() {
        let line = line.split('#').next().unwrap_or_default();
        let Some((key, value)) = line.split_once('=') else { continue };
        let value = value.trim().trim_matches('"');
        match key.trim() {
            "default" if entries.is_empty() => default = Some(value.to_owned()),
            "image" if entries.len() < MAX_ENTRIES => {
                entries.push((Vec::new(), Some(file_name(value))));
            }
            "other" if entries.len() < MAX_ENTRIES => entries.push((Vec::new(), None)),
            "label" | "alias" => {
                if let Some((names, _)) = entries.last_mut() {
                    names.push(value.to_owned());
                }
            }
            _ => {}
        }
    }
    let entry = match &default {
        // Without a label an entry is called as its image.
        Some(name) => entries
            .iter()
            .find(|(names, image)| names.contains(name) || image.as_ref() == Some(name)),
        None => entries.first(),
    };
    match entry {
        Some((_, Some(image))) => Some(Choice::Image(image.clone())),
        Some((names, None)) => Some(Choice::Other(names.concat())),
        None => default.map(Choice::Other),
    }
}

/// What loader.conf(5) says of the entry that starts when nobody chooses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Default<'t> {
    /// Nothing: the first one.
    None,
    /// What the loader itself wrote into a variable, which no file holds.
    Firmware,
    /// A pattern of names.
    Pattern(&'t str),
}

/// Reads systemd-boot's `default`.
pub(super) fn loader_default(text: &str) -> Default<'_> {
    let pattern = text.lines().rev().find_map(|line| {
        let (key, value) = line.trim().split_once(char::is_whitespace)?;
        (key == "default").then(|| value.trim())
    });
    match pattern {
        None | Some("") => Default::None,
        Some(pattern) if pattern.starts_with('@') => Default::Firmware,
        Some(pattern) => Default::Pattern(pattern),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GRUB: &str = r#"
if [ -s $prefix/grubenv ]; then
  load_env
fi
if [ "${next_entry}" ] ; then
   set default="${next_entry}"
   set next_entry=
else
   set default="@DEFAULT@"
fi
function savedefault {
  if [ -z "${boot_once}" ]; then
    set default="7"
  fi
}
menuentry 'Debian GNU/Linux' --class debian $menuentry_id_option 'gnulinux-simple-1' {
	load_video
	linux	/boot/vmlinuz-6.1.0-18-amd64 root=UUID=1 ro quiet
	initrd	/boot/initrd.img-6.1.0-18-amd64
}
submenu 'Advanced options for Debian' $menuentry_id_option 'gnulinux-advanced-1' {
	menuentry 'Debian, with Linux 6.1.0-18-amd64' --id 'new' {
		linux	/boot/vmlinuz-6.1.0-18-amd64 root=UUID=1
	}
	menuentry "Debian, with Linux 6.1.0-9-amd64" --class x $menuentry_id_option 'gnulinux-6.1.0-9-amd64-advanced-1' {
		linux	/boot/vmlinuz-6.1.0-9-amd64 root=UUID=1
	}
}
menuentry 'UEFI Firmware Settings' $menuentry_id_option 'uefi-firmware' {
	fwsetup
}
"#;

    fn started(default: &str, next: Option<&str>, saved: Option<&str>) -> String {
        match Grub::read(&GRUB.replace("@DEFAULT@", default)).choice(next, saved) {
            Some((Choice::Image(image), _)) => image,
            Some((Choice::Other(title), _)) => format!("other: {title}"),
            other => format!("{other:?}"),
        }
    }

    #[test]
    fn grub_starts_what_its_default_names() {
        let (new, old) = ("vmlinuz-6.1.0-18-amd64", "vmlinuz-6.1.0-9-amd64");
        assert_eq!(started("0", None, None), new);
        assert_eq!(started("1>1", None, None), old);
        assert_eq!(started("1", None, None), new, "the first of a submenu");
        assert_eq!(
            started("gnulinux-advanced-1>gnulinux-6.1.0-9-amd64-advanced-1", None, None),
            old
        );
        let by_titles = "Advanced options for Debian>Debian, with Linux 6.1.0-9-amd64";
        assert_eq!(started(by_titles, None, None), old);
        assert_eq!(started("no such entry", None, None), new);
        assert_eq!(started("2", None, None), "other: UEFI Firmware Settings");
        assert_eq!(started("${saved_entry}", None, Some("1>1")), old);
        assert_eq!(started("${saved_entry}", None, None), new);
        assert_eq!(started("0", None, Some("1>1")), new, "what was saved is not asked for");
        assert_eq!(started("0", Some("1>1"), None), old, "for one boot");
    }

    #[test]
    fn extlinux_starts_its_label() {
        let text = "DEFAULT lts\nPROMPT 0\nLABEL virt\n  LINUX /boot/vmlinuz-6.6.1-virt\nLABEL lts\n  MENU LABEL Linux lts\n  LINUX vmlinuz-6.6.9-lts\n  INITRD x\n";
        let image = |text: &str| match extlinux(text) {
            Some(Choice::Image(image)) => image,
            other => format!("{other:?}"),
        };
        assert_eq!(image(text), "vmlinuz-6.6.9-lts");
        let by_mark = text
            .replace("DEFAULT lts", "DEFAULT menu.c32")
            .replace("LABEL virt\n", "label virt\n menu default\n");
        assert_eq!(image(&by_mark), "vmlinuz-6.6.1-virt");
        assert_eq!(extlinux("LABEL x\n"), Some(Choice::Other("x".to_owned())));
        assert_eq!(extlinux(""), None);
    }

    #[test]
    fn a_hostile_menu_ends() {
        for text in [
            "menuentry x {\n".repeat(100_000),
            "}\n".repeat(100_000),
            "submenu '".repeat(10_000),
            "menuentry ".to_owned() + &"'".repeat(100_001) + " {\n}\n",
            format!("set default=\"{}\"\nmenuentry x {{\n}}\n", ">".repeat(10_000)),
        ] {
            Grub::read(&text).choice(Some("0>0>0>0"), Some("x"));
            extlinux(&text);
            legacy(&text);
            lilo(&text);
            loader_default(&text);
        }
    }
}
