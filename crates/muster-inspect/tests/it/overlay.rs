//! Layers that the kernel itself wrote and joined: what it shows, and what is read from the layers, must be the same.

use std::fmt::Write as _;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::process::Command;

use muster_core::fact::Reading;
use muster_inspect::root::{EntryKind, Marks, Overlay, Root as _, Wanted};

use crate::Test;

pub(super) const TESTS: &[Test] = &[
    ("overlay::the_kernel_shows_the_same", the_kernel_shows_the_same),
    ("overlay::a_user_s_marks_hide_nothing_of_the_administrator_s", marks_of_users),
    ("overlay::hostile_layers_are_bounded", hostile_layers_are_bounded),
];

/// Numbers that look like chance, and are the same in every run.
struct Chance(u64);

impl Chance {
    fn below(&mut self, most: usize) -> usize {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap() % most
    }

    fn path(&mut self) -> String {
        const NAMES: [&str; 5] = ["a", "b", "c", "d", "e"];
        let depth = 1 + self.below(4);
        (0..depth).map(|_| NAMES[self.below(NAMES.len())]).collect::<Vec<_>>().join("/")
    }

    /// Something that is done to a tree; what cannot be done is left.
    fn change(&mut self, count: usize) -> String {
        let (one, two) = (self.path(), self.path());
        match self.below(12) {
            0 | 1 => format!("mkdir -p {one}"),
            2 | 3 => format!("printf {count} >{one}"),
            4 => format!("rm -rf {one}"),
            5 => format!("rm -rf {one}; mkdir -p {one}"),
            6 | 10 | 11 => format!("mv -T {one} {two}"),
            7 => {
                format!(
                    "ln -sfn {} {two}",
                    ["/nowhere/a", "../c", "b/./d", "/nowhere/../a", "e"][self.below(5)]
                )
            }
            8 => format!("chmod 7{}1 {one}", self.below(8)),
            _ => format!("printf {count} >>{one}"),
        }
    }
}

/// Everything that is at or below a folder: its kind, and what it holds or where it leads.
const SHOWN: &str = r#"find . -mindepth 1 | sort | while IFS= read -r path; do
    if [ -L "$path" ]; then printf '%s -> %s\n' "$path" "$(readlink "$path")"
    elif [ -d "$path" ]; then printf '%s/\n' "$path"
    else printf '%s = %s\n' "$path" "$(cat "$path")"; fi
done
for path in a b c d e; do
    for name in a b c d e; do
        [ -f "$path/$name" ] && printf '%s/%s is %s\n' "$path" "$name" "$(cat "$path/$name")"
    done
done
true
"#;

fn shown(root: &Overlay) -> String {
    let mut told = Vec::new();
    let mut ahead = vec![String::from(".")];
    while let Some(folder) = ahead.pop() {
        let Reading::Found(entries) = root.list(&format!("top/{folder}")) else {
            panic!("{folder}")
        };
        for entry in entries {
            let path = format!("{folder}/{}", entry.name);
            told.push(match entry.kind {
                EntryKind::Directory => {
                    ahead.push(path.clone());
                    format!("{path}/")
                }
                EntryKind::Link => {
                    format!("{path} -> {}", root.link(&format!("top/{path}")).found().unwrap())
                }
                EntryKind::File => {
                    let reading = root.read(&format!("top/{path}"), 1 << 10);
                    let Reading::Found(bytes) = reading else { panic!("{path}: {reading:?}") };
                    format!("{path} = {}", String::from_utf8(bytes).unwrap())
                }
                EntryKind::Special => format!("{path} is special"),
            });
        }
    }
    told.sort();
    for folder in ["a", "b", "c", "d", "e"] {
        for name in ["a", "b", "c", "d", "e"] {
            let path = format!("{folder}/{name}");
            if let Reading::Found(bytes) = root.read(&format!("top/{path}"), 1 << 10) {
                told.push(format!("{path} is {}", String::from_utf8(bytes).unwrap()));
            }
        }
    }
    told.join("\n")
}

fn open(folder: &Path) -> OwnedFd {
    std::fs::File::open(folder).unwrap().into()
}

/// Runs a script as root in mounts of its own; nothing where that cannot be done.
fn in_own_mounts(script: &str, folder: &Path) -> Option<String> {
    let run = Command::new("unshare")
        .args(["--mount", "sh", "-c", script])
        .current_dir(folder)
        .env("LC_ALL", "C")
        .output()
        .ok()?;
    if !run.status.success() {
        println!("{}", String::from_utf8_lossy(&run.stderr));
        return None;
    }
    Some(String::from_utf8(run.stdout).unwrap())
}

fn the_kernel_shows_the_same() {
    const LAYERS: usize = 5;
    let mut redirected = 0;
    for (options, marks) in
        [("redirect_dir=on,metacopy=on", Marks::Trusted), ("userxattr", Marks::User)]
    {
        for seed in 0..24 {
            let folder = tempfile::tempdir().unwrap();
            let mut chance = Chance(seed);
            let mut script = String::from("set -e\n");
            for layer in 0..LAYERS {
                writeln!(script, "mkdir {layer} work{layer} joined{layer}").unwrap();
                let lower: Vec<String> = (0..layer).rev().map(|l| l.to_string()).collect();
                if layer > 0 {
                    writeln!(
                        script,
                        "mount -t overlay none -o lowerdir={},upperdir={layer},workdir=work{layer},{options} joined{layer}",
                        lower.join(":")
                    )
                    .unwrap();
                } else {
                    writeln!(script, "mount --bind 0 joined0").unwrap();
                }
                // A folder of its own: what a link finds above it is the kernel's own `/` no more than ours.
                write!(script, "mkdir -p joined{layer}/top; (set +e; cd joined{layer}/top")
                    .unwrap();
                for count in 0..25 {
                    write!(script, "\n{}", chance.change(layer * 100 + count)).unwrap();
                }
                script += "\n) 2>/dev/null || true\n";
                if layer + 1 < LAYERS {
                    writeln!(script, "umount joined{layer}").unwrap();
                }
            }
            writeln!(script, "cd joined{}/top\n{SHOWN}", LAYERS - 1).unwrap();
            let Some(by_kernel) = in_own_mounts(&script, folder.path()) else {
                crate::running::not_run("root that may mount overlayfs");
                return;
            };
            let layers = (0..LAYERS).rev().map(|l| open(&folder.path().join(l.to_string())));
            let root = Overlay::new(layers.collect(), marks);
            assert_eq!(shown(&root), sorted(&by_kernel), "seed {seed}, {options}");
            let Reading::Found(walked) = root.walk_all(&Wanted::new(&["a", "b"])) else { panic!() };
            let files = |line: &&str| {
                let name = line.split(" = ").next().or(line.split(" -> ").next()).unwrap();
                let name = name.split(" -> ").next().unwrap();
                (line.contains(" = ") || line.contains(" -> "))
                    && (name.ends_with("/a") || name.ends_with("/b"))
            };
            assert_eq!(
                walked.spotted.len(),
                by_kernel.lines().filter(files).count(),
                "{by_kernel}"
            );
            redirected += moved(folder.path());
        }
    }
    assert!(redirected > 5, "too few directories were moved from layer to layer: {redirected}");
}

/// Counts the directories of all layers that the kernel noted as moved.
fn moved(folder: &Path) -> usize {
    let mut count = 0;
    let mut ahead = vec![folder.to_owned()];
    while let Some(folder) = ahead.pop() {
        for entry in std::fs::read_dir(&folder).unwrap() {
            let entry = entry.unwrap();
            if entry.file_type().unwrap().is_dir() {
                let mut value = [0_u8; 256];
                let told =
                    rustix::fs::lgetxattr(entry.path(), "trusted.overlay.redirect", &mut value[..]);
                count += usize::from(told.is_ok());
                ahead.push(entry.path());
            }
        }
    }
    count
}

/// The lines in the order of their bytes, as far as they are of the tree; then the rest.
fn sorted(text: &str) -> String {
    let (mut tree, rest): (Vec<&str>, Vec<&str>) =
        text.lines().partition(|line| line.starts_with("./"));
    tree.sort_unstable();
    [tree, rest].concat().join("\n")
}

/// Who is root in a container can write attributes of users there, and no others: they hide nothing.
fn marks_of_users() {
    let folder = tempfile::tempdir().unwrap();
    for path in ["upper/etc", "lower/etc"] {
        std::fs::create_dir_all(folder.path().join(path)).unwrap();
    }
    std::fs::write(folder.path().join("lower/etc/passwd"), "x").unwrap();
    std::fs::write(folder.path().join("upper/etc/.wh.passwd"), "").unwrap();
    std::fs::write(folder.path().join("upper/etc/new"), "y").unwrap();
    let etc = open(&folder.path().join("upper/etc"));
    if let Err(error) =
        rustix::fs::fsetxattr(&etc, "user.overlay.opaque", b"y", rustix::fs::XattrFlags::empty())
    {
        println!("{error}");
        return crate::running::not_run("a file system with attributes of users");
    }
    let layers = || ["upper", "lower"].map(|layer| open(&folder.path().join(layer))).into();
    let trusted = Overlay::new(layers(), Marks::Trusted);
    assert!(trusted.is_there("etc/passwd"));
    assert!(trusted.is_there("etc/.wh.passwd"));
    let user = Overlay::new(layers(), Marks::User);
    assert!(!user.is_there("etc/passwd"));
    assert!(!user.is_there("etc/.wh.passwd"));
    assert!(user.is_there("etc/new"));
    let names: Vec<String> =
        user.list("etc").found().unwrap().iter().map(|e| e.name.clone()).collect();
    assert_eq!(names, ["new"]);
}

fn hostile_layers_are_bounded() {
    let folder = tempfile::tempdir().unwrap();
    let layer = folder.path().join("layer");
    let deep = layer.join("d/".repeat(1000));
    std::fs::create_dir_all(&deep).unwrap();
    for (name, target) in
        [("up", "../../../../../etc"), ("circle", "circle"), ("far", "/proc/self/root/etc")]
    {
        std::os::unix::fs::symlink(target, layer.join(name)).unwrap();
    }
    std::fs::create_dir_all(layer.join("etc")).unwrap();
    std::fs::write(layer.join("etc/passwd"), "ours").unwrap();
    for name in [".wh...", ".wh..", ".wh.", ".wh./"] {
        let _a_name_of_none = std::fs::write(layer.join(name), "");
    }
    let root = Overlay::new(vec![open(&layer)], Marks::User);
    assert_eq!(root.read("up/passwd", 10), Reading::Found(b"ours".to_vec()));
    assert!(matches!(root.read("circle", 10), Reading::Unknown(_)));
    assert_eq!(root.read("far/passwd", 10), Reading::Absent);
    assert_eq!(root.read("../../etc/passwd", 10), Reading::Found(b"ours".to_vec()));
    assert!(matches!(root.list("/"), Reading::Found(entries) if entries.len() == 5));
    let Reading::Found(walked) = root.walk_all(&Wanted::new(&["passwd"])) else { panic!() };
    assert_eq!(walked.spotted.len(), 1);
    assert!(walked.obstacles.iter().any(|o| o.why.contains("too deep")), "{walked:?}");
    assert!(
        matches!(Overlay::new(Vec::new(), Marks::User).list("/"), Reading::Found(e) if e.is_empty())
    );
}
