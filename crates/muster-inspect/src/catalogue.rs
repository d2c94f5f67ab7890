//! How web applications are recognised, compiled from `catalog/webapps/*.toml` by the build script.
//!
//! The names by which others know them are in [`muster_core::catalog`]. Nothing here reads a file: `docs/how-to/add-a-web-application.md` says what each field means.

/// A web application, and how it is recognised.
#[derive(Debug)]
pub struct Application {
    /// Its slug.
    pub product: &'static str,
    /// The files it is recognised by: the first that fits a folder counts.
    pub signs: &'static [Sign],
    /// Where its parts lie.
    pub parts: &'static [Part],
}

/// A file by which an application is recognised.
#[derive(Debug)]
pub struct Sign {
    /// Its path below the application's folder; a star in a name is any part of it.
    pub file: &'static str,
    /// Texts that must all stand in it.
    pub holds: &'static [&'static str],
    /// Regular expressions that must all match in it.
    pub matches: &'static [&'static str],
    /// Texts none of which may stand in it.
    pub lacks: &'static [&'static str],
    /// Further paths below the folder that must be there.
    pub beside: &'static [&'static str],
    /// Paths that, all there, tell the application by themselves: whatever the file says, or where it cannot be read.
    pub sure: &'static [&'static str],
    /// Whether the file is the whole application.
    pub itself: bool,
    /// The application's own folder, where the one above the file is shared with others.
    pub home: Option<&'static str>,
    /// Where the version stands.
    pub versions: &'static [Version],
}

impl Sign {
    /// Tells whether the file's name says it all, so that it is not opened: it may hold secrets.
    pub fn is_name(&self) -> bool {
        self.holds.is_empty() && self.matches.is_empty() && self.versions.is_empty()
    }
}

/// Where a version may stand.
#[derive(Debug)]
pub struct Version {
    /// The file, where that is not the sign's own.
    pub file: Option<&'static str>,
    /// A regular expression that captures it.
    pub pattern: Option<&'static str>,
    /// A regular expression that captures what makes it a pre-release, where that stands apart.
    pub pre: Option<&'static str>,
    /// What joins that to the version.
    pub joint: &'static str,
    /// What every match of it begins with.
    pub begins: &'static str,
    /// What joins several captures.
    pub join: &'static str,
    /// A JSON pointer (RFC 6901) that leads to it.
    pub json: Option<&'static str>,
    /// The member of the zip in which the pattern is looked for.
    pub zip: Option<&'static str>,
}

/// Where parts of one kind lie.
#[derive(Debug)]
pub struct Part {
    /// `plugin`, `theme`, `module` or `extension`.
    pub kind: &'static str,
    /// The folder they lie in, below the application's; a star in a name is any part of it.
    pub folder: &'static str,
    /// The pattern of their names there, with one star.
    pub star: &'static str,
    /// The files of a part that are looked at; none where the part is itself a file.
    pub files: &'static [&'static str],
    /// Texts that must all stand in such a file.
    pub holds: &'static [&'static str],
    /// Regular expressions that must all match in it.
    pub matches: &'static [&'static str],
    /// Texts none of which may stand in it.
    pub lacks: &'static [&'static str],
    /// Whether a folder that is no part itself may hold some.
    pub nested: bool,
    /// Where the parts may lie apart from their application, the ends of the paths by which they are found then.
    pub tails: &'static [&'static str],
    /// Where its version stands.
    pub versions: &'static [Version],
}

/// Every web application of the catalogue, by its slug.
pub static APPLICATIONS: &[Application] = include!(concat!(env!("OUT_DIR"), "/webapps.rs"));

/// The files that are looked at, as paths an inspector declares.
pub static READS: &[&str] = include!(concat!(env!("OUT_DIR"), "/webapps_reads.rs"));
