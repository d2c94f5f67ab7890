//! Software that no package database of the distribution knows: web applications, packages of languages, bundles.

use alloc::string::String;
use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

/// One copy of a web application, or of one of its plugins, themes, modules or extensions.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct WebApplication {
    /// Its folder, from `/` of the root.
    pub path: String,
    /// Its slug in the catalogue: `mediawiki`; of a part its own name: `akismet`.
    pub product: String,
    /// The slug of the application that it is a part of.
    pub part_of: Option<String>,
    /// What kind of part it is: `plugin`, `theme`, `module`, `extension`.
    pub part: Option<String>,
    /// Its version, where a file holds one.
    pub version: Option<String>,
    /// The file that holds the version, or by which it was recognised, from `/` of the root.
    pub evidence: String,
    /// The package of the distribution that owns it, and whose advisories then count.
    pub owner_package: Option<String>,
    /// The account that owns its files (`www-data`, or the number where no name is known).
    pub account: Option<String>,
    /// Whether a web server's configuration leads to it, and the file that says so.
    pub served_by: Option<String>,
    /// What kind of copy it is: `backup`, by its path; `abandoned`, as no configuration leads to it; nothing of one in use.
    pub copy: Option<String>,
}

/// A package of a language, installed outside the distribution's package manager.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct LanguagePackage {
    /// The ecosystem, as OSV names it in lower case: `pypi`, `packagist`.
    pub ecosystem: String,
    /// Its name, normalised as the ecosystem does.
    pub name: String,
    /// Its version.
    pub version: String,
    /// The folder or file that says so, from `/` of the root.
    pub path: String,
    /// The package of the distribution that owns it, and whose advisories then count.
    pub owner_package: Option<String>,
}

/// A snap or a flatpak: a bundle with its own libraries, updated by its own store.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Bundle {
    /// `snap` or `flatpak`.
    pub format: String,
    /// Its name.
    pub name: String,
    /// Its version, where a file holds one.
    pub version: Option<String>,
    /// The revision, commit or branch that is active.
    pub revision: Option<String>,
    /// Where it lies.
    pub path: String,
}

/// What is known of the walk that looked for applications.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Walk {
    /// The document roots that web servers' configurations name; a star stands for what each request tells.
    pub document_roots: Vec<String>,
    /// What was not entered, and why: network and FUSE mounts, what lies too deep.
    pub not_walked: Vec<(String, String)>,
}
