//! Programs of this machine, put into a folder that becomes the root of a server.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::Context as _;

use crate::repository::has_program;

/// Tells whether this machine lets such a server be started.
pub fn may_start() -> bool {
    ["unshare", "chroot", "ldd"].iter().all(|program| has_program(program))
        && Command::new("unshare")
            .args(["--mount", "--pid", "--fork", "true"])
            .stderr(Stdio::null())
            .status()
            .is_ok_and(|status| status.success())
}

/// Copies a program to a place below a root, and the libraries that it is linked with to theirs.
pub fn install(root: &Path, program: &Path, place: &str) -> anyhow::Result<()> {
    copy(program, &root.join(place))?;
    let libraries = Command::new("ldd").arg(program).output().context("cannot run ldd")?;
    for library in String::from_utf8_lossy(&libraries.stdout).split_whitespace() {
        if let Some(path) = library.strip_prefix('/') {
            copy(Path::new(library), &root.join(path))?;
        }
    }
    Ok(())
}

fn copy(from: &Path, to: &Path) -> anyhow::Result<()> {
    fs::create_dir_all(to.parent().context("a file lies in a folder")?)
        .context("cannot make a folder")?;
    fs::copy(from, to)
        .with_context(|| format!("cannot copy {} to {}", from.display(), to.display()))?;
    Ok(())
}
