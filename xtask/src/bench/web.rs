//! A server with a web root of 400,000 files: seventy-odd sites in the layout of WordPress, each with plugins and years of
//! uploads. A bare walk of the same tree by find(1) stands beside; and a whole live inspection, among 200 processes.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, bail};

use super::chroot;
use super::generate::{self, Size};
use super::measure::{self, Cost};
use super::promise::{Kind, Line, Table};

const FILES: usize = 400_000;
const PACKAGES: usize = 800;
const PROCESSES: usize = 200;
/// Folders of a site, and files in each.
const CODE: (usize, usize) = (60, 20);
const UPLOADS: (usize, usize) = (90, 40);
const PLUGINS: (usize, usize) = (20, 30);

/// Makes the sites below a folder, and returns how many files there are.
pub(super) fn sites(folder: &Path, files: usize) -> anyhow::Result<usize> {
    let mut made = 0;
    for site in 0.. {
        if made >= files {
            break;
        }
        let site = folder.join(format!("site{site}"));
        let mut fill = |folder: PathBuf, count: usize, ending: &str| -> anyhow::Result<()> {
            fs::create_dir_all(&folder)
                .with_context(|| format!("cannot make {}", folder.display()))?;
            for number in 0..count {
                fs::write(folder.join(format!("file-{number}.{ending}")), b"")?;
            }
            made += count;
            Ok(())
        };
        for number in 0..CODE.0 {
            fill(site.join(format!("wp-includes/part{number}")), CODE.1, "php")?;
        }
        for number in 0..UPLOADS.0 {
            let month = format!("wp-content/uploads/{}/{:02}", 2017 + number / 12, number % 12 + 1);
            fill(site.join(month), UPLOADS.1, "jpg")?;
        }
        for number in 0..PLUGINS.0 {
            let plugin = site.join(format!("wp-content/plugins/plugin{number}"));
            fill(plugin.join("inc"), PLUGINS.1, "php")?;
            let head =
                format!("<?php\n/*\nPlugin Name: Plugin {number}\nVersion: 1.{number}\n*/\n");
            fs::write(plugin.join(format!("plugin{number}.php")), head)?;
        }
        fs::write(site.join("wp-includes/version.php"), "<?php\n$wp_version = '6.4.2';\n")?;
        made += PLUGINS.0 + 1;
    }
    Ok(made)
}

/// Measures both.
pub fn run(table: &mut Table, muster: &Path, scratch: &Path, runs: usize) -> anyhow::Result<()> {
    const WHAT: &str = "web root of 400,000 files";
    let folder = scratch.join("web");
    let size = Size { packages: PACKAGES, ..Size::default() };
    let root = generate::generate(&folder, size)?.root;
    let bare = folder.join("bare");
    fs::create_dir_all(bare.join("etc")).context("cannot make a root")?;
    fs::copy(root.join("etc/os-release"), bare.join("etc/os-release"))?;
    let made = sites(&bare.join("srv/www"), FILES)?;
    let words = |words: &[&str]| words.iter().map(OsString::from).collect::<Vec<_>>();
    let inspect: Vec<OsString> = [muster.into(), "inspect".into(), bare.clone().into()]
        .into_iter()
        .chain(words(&["--format", "json"]))
        .collect();
    let walk: Vec<OsString> =
        ["find".into(), bare.clone().into()].into_iter().chain(words(&["-name", "none"])).collect();
    let costs = measure::interleaved(&[inspect, walk], runs)?;
    let [ours, theirs] = costs.as_slice() else { bail!("two commands have two costs") };
    if !(0..=1).contains(&ours.status) || theirs.status != 0 {
        bail!("{WHAT}: an inspection ended with {}, find with {}", ours.status, theirs.status);
    }
    table.push(Line::new(WHAT, "files", super::count(made), ""));
    table.push(Line::new(WHAT, "CPU", ours.cpu_ms(), "ms"));
    table.push(Line::new(WHAT, "find, CPU", theirs.cpu_ms(), "ms"));
    let ratio = ours.cpu_ms() / theirs.cpu_ms().max(0.001);
    table.push(Line::new(WHAT, "times the CPU of find", ratio, "×").at_most(1.5, Kind::Firm));
    table.push(Line::new(WHAT, "peak", ours.peak_mib(), "MiB").at_most(60.0, Kind::Firm));
    // The same sites, on the server with packages.
    fs::rename(bare.join("srv"), root.join("srv")).context("cannot move the web root")?;
    live(table, muster, &root)
}

/// The whole of a live server, in namespaces of its own.
fn live(table: &mut Table, muster: &Path, root: &Path) -> anyhow::Result<()> {
    const WHAT: &str = "live server with it";
    /// Makes the server and becomes its inspection, as its first process.
    const SCRIPT: &str = r#"set -e
root=$1 count=$2
mount -t proc proc "$root/proc"
exec chroot "$root" /bin/sh -c 'n=0; while [ $n -lt $1 ]; do /bin/sleep 600 & n=$((n + 1)); done; exec /bin/muster inspect --format json' sh "$count""#;
    if !chroot::may_start() {
        table.not_run(WHAT, "root, and namespaces");
        return Ok(());
    }
    fs::create_dir_all(root.join("proc")).context("cannot make a folder")?;
    for (program, name) in
        [(muster, "muster"), (Path::new("/bin/sh"), "sh"), (Path::new("/bin/sleep"), "sleep")]
    {
        chroot::install(root, program, &format!("bin/{name}"))?;
    }
    // Nothing of the disk is in memory, where this machine lets that be asked for.
    let is_cold = Command::new("sync").status().is_ok_and(|s| s.success())
        && fs::write("/proc/sys/vm/drop_caches", "3").is_ok();
    let words = ["unshare", "--mount", "--pid", "--fork", "--kill-child", "sh", "-c", SCRIPT, "sh"];
    let mut words: Vec<OsString> = words.iter().map(OsString::from).collect();
    words.extend([root.into(), PROCESSES.to_string().into()]);
    let cost: Cost = measure::measure(&words)?;
    if !(0..=1).contains(&cost.status) {
        bail!("{WHAT}: the inspection ended with {}", cost.status);
    }
    let what = if is_cold { "CPU, cold" } else { "CPU" };
    table.push(Line::new(WHAT, what, cost.cpu_ms(), "ms").at_most(2000.0, Kind::Timed));
    table.push(Line::new(WHAT, "peak", cost.peak_mib(), "MiB"));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sites_have_as_many_files_as_are_told() {
        let folder = tempfile::tempdir().unwrap();
        let made = sites(folder.path(), 5000).unwrap();
        let mut ahead = vec![folder.path().to_owned()];
        let mut found = 0;
        while let Some(folder) = ahead.pop() {
            for entry in fs::read_dir(folder).unwrap() {
                let entry = entry.unwrap();
                match entry.file_type().unwrap().is_dir() {
                    true => ahead.push(entry.path()),
                    false => found += 1,
                }
            }
        }
        assert_eq!(found, made);
        assert!((5000..12_000).contains(&made), "{made}");
    }
}
