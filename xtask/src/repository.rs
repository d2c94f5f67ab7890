//! Where things lie: the repository, the shared data beside it, what cargo builds.
//!
//! Files are found by walking the folders, so that an unpacked archive of the sources works as a clone does.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, bail};

/// A checkout of Muster.
#[derive(Clone, Debug)]
pub struct Repository {
    root: PathBuf,
}

/// Folders that hold no sources.
const SKIPPED: [&str; 5] = [".git", "target", "corpus-grown", "node_modules", "artifacts"];

impl Repository {
    /// Returns the checkout that this program was built from.
    pub fn here() -> Self {
        let manifest = Path::new(env!("CARGO_MANIFEST_DIR"));
        Self { root: manifest.parent().unwrap_or(manifest).to_path_buf() }
    }

    /// Returns a checkout that lies elsewhere: the tests of the tidy rules make some.
    pub fn at(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    /// Returns the path of something in it.
    pub fn path(&self, below: impl AsRef<Path>) -> PathBuf {
        self.root.join(below)
    }

    /// Returns the data that is shared between projects, if it lies beside the checkout.
    pub fn shared(&self) -> Option<PathBuf> {
        let found =
            environment("MUSTER_SHARED").map_or_else(|| self.path("../shared"), PathBuf::from);
        found.join("data").is_dir().then(|| found.canonicalize().unwrap_or(found))
    }

    /// Returns every file, relative to the root, in order.
    pub fn files(&self) -> anyhow::Result<Vec<PathBuf>> {
        let mut found = Vec::new();
        let mut folders = vec![PathBuf::new()];
        while let Some(folder) = folders.pop() {
            let path = self.path(&folder);
            let entries =
                fs::read_dir(&path).with_context(|| format!("cannot list {}", path.display()))?;
            for entry in entries {
                let entry = entry?;
                let below = folder.join(entry.file_name());
                let kind = entry.file_type()?;
                if kind.is_dir() {
                    if !SKIPPED.iter().any(|s| entry.file_name() == *s) {
                        folders.push(below);
                    }
                } else {
                    found.push(below);
                }
            }
        }
        found.sort();
        Ok(found)
    }

    /// Reads a file as text.
    pub fn read(&self, below: impl AsRef<Path>) -> anyhow::Result<String> {
        let path = self.path(below);
        fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))
    }

    /// Returns cargo, to be run in the root.
    pub fn cargo(&self, words: &[&str]) -> Command {
        let mut command = Command::new(environment("CARGO").unwrap_or_else(|| "cargo".into()));
        command.current_dir(&self.root).args(words);
        command
    }

    /// Returns the folder that cargo builds into.
    pub fn target(&self) -> PathBuf {
        environment("CARGO_TARGET_DIR").map_or_else(|| self.path("target"), |told| self.path(told))
    }

    /// Builds the executable in a profile (`release` or `dev`), and returns its path.
    pub fn muster(&self, profile: &str) -> anyhow::Result<PathBuf> {
        let mut command =
            self.cargo(&["build", "--quiet", "--package", "muster", "--profile", profile]);
        let built = command.status().context("cannot run cargo")?;
        if !built.success() {
            bail!("`cargo build --package muster --profile {profile}` failed");
        }
        let folder = if profile == "dev" { "debug" } else { profile };
        Ok(self.target().join(folder).join("muster"))
    }

    /// Builds the executable that reads in its own process, unguarded, so that valgrind can follow it; in a folder of
    /// its own, so that nothing ever takes it for the one to ship.
    pub fn muster_in_process(&self) -> anyhow::Result<PathBuf> {
        let folder = self.target().join("counted");
        let mut command =
            self.cargo(&["build", "--quiet", "--package", "muster", "--profile", "release"]);
        command.env("CARGO_TARGET_DIR", &folder).env("RUSTFLAGS", "--cfg muster_in_process");
        if !command.status().context("cannot run cargo")?.success() {
            bail!("`cargo build --package muster` with `--cfg muster_in_process` failed");
        }
        Ok(folder.join("release").join("muster"))
    }
}

/// Returns a variable of the environment, unless it is empty.
pub fn environment(name: &str) -> Option<OsString> {
    std::env::var_os(name).filter(|value| !value.is_empty())
}

/// Tells whether everything must run: what is missing then fails.
pub fn requires_all() -> bool {
    environment("MUSTER_REQUIRE_ALL").is_some_and(|value| value == "1")
}

/// Tells whether a program can be found through PATH.
pub fn has_program(name: &str) -> bool {
    let Some(path) = environment("PATH") else { return false };
    std::env::split_paths(&path).any(|folder| folder.join(name).is_file())
}

/// Returns the name of a path as text, for lists and reports.
pub fn name_of(path: &Path) -> String {
    path.file_name().and_then(OsStr::to_str).unwrap_or_default().to_owned()
}
