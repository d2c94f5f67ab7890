//! The packages of languages: Python's by their metadata, Composer's by the list of what it installed.

use muster_core::application::LanguagePackage;
use muster_core::fact::{Obstacle, Reading};
use serde::Deserialize;

use crate::root::Root;

/// What must be kept of a tar.
pub(super) const READS: &[&str] = &[
    "/**/*.dist-info/METADATA",
    "/**/*.egg-info/PKG-INFO",
    "/**/*.egg-info",
    "/**/vendor/composer/installed.json",
];

/// The forms, by the end of their paths.
pub(super) const TAILS: [(Form, &str); 4] = [
    (Form::Python, "*.dist-info/METADATA"),
    (Form::Python, "*.egg-info/PKG-INFO"),
    (Form::Python, "*.egg-info"),
    (Form::Composer, "vendor/composer/installed.json"),
];

/// The headers of a package's metadata stand at its beginning.
const MAX_HEADERS: u64 = 64 << 10;
/// The list of a large application.
const MAX_LIST: u64 = 8 << 20;

/// Packages in one list of Composer's.
const MAX_PACKAGES: usize = 20_000;

/// How a package is told.
#[derive(Clone, Copy)]
pub(super) enum Form {
    /// Core metadata: headers as in a mail (PEP 566).
    Python,
    /// Composer 1: a list; Composer 2: an object with `packages`.
    Composer,
}

pub(super) fn read(
    root: &dyn Root,
    form: Form,
    path: &str,
    packages: &mut Vec<LanguagePackage>,
    obstacles: &mut Vec<Obstacle>,
) {
    match form {
        Form::Python => match super::recognise::head(root, path, MAX_HEADERS) {
            Reading::Found(bytes) => {
                packages.extend(python(&String::from_utf8_lossy(&bytes), path));
            }
            Reading::Absent => {}
            Reading::Unknown(obstacle) => obstacles.push(obstacle),
        },
        Form::Composer => match root.read(path, MAX_LIST) {
            Reading::Found(bytes) => match composer(&bytes, path) {
                Ok(found) => packages.extend(found),
                Err(why) => obstacles.push(Obstacle::new(path, why)),
            },
            Reading::Absent => {}
            Reading::Unknown(obstacle) => obstacles.push(obstacle),
        },
    }
}

/// Reads the headers of a Python package's metadata.
pub(super) fn python(text: &str, path: &str) -> Option<LanguagePackage> {
    let (mut name, mut version) = (None, None);
    for line in text.lines().take_while(|line| !line.is_empty()) {
        match line.split_once(':') {
            Some(("Name", value)) => name = name.or(Some(value.trim())),
            Some(("Version", value)) => version = version.or(Some(value.trim())),
            _ => {}
        }
    }
    let (name, version) = (name?, version?);
    if name.is_empty() || version.is_empty() {
        return None;
    }
    Some(LanguagePackage {
        ecosystem: "pypi".into(),
        name: normal(name),
        version: version.into(),
        path: path.into(),
        owner_package: None,
    })
}

/// Writes a name as PyPI does: lower case, runs of `-`, `_` and `.` one hyphen (PEP 503).
fn normal(name: &str) -> String {
    let mut normal = String::with_capacity(name.len());
    for c in name.chars() {
        if !"-_.".contains(c) {
            normal.extend(c.to_lowercase());
        } else if !normal.ends_with('-') {
            normal.push('-');
        }
    }
    normal
}

/// The list of Composer 2.
#[derive(Deserialize)]
struct Installed {
    packages: Vec<Package>,
}

#[derive(Deserialize)]
struct Package {
    name: String,
    version: String,
}

/// Reads the list of what Composer installed.
pub(super) fn composer(bytes: &[u8], path: &str) -> Result<Vec<LanguagePackage>, String> {
    // Told apart by its first character: to try both would hold every value of a hostile list in memory.
    let is_one = bytes.trim_ascii_start().first() == Some(&b'[');
    let read = if is_one {
        serde_json::from_slice::<Vec<Package>>(bytes)
    } else {
        serde_json::from_slice::<Installed>(bytes).map(|installed| installed.packages)
    };
    let packages = read.map_err(|e| {
        format!("is no list of Composer's packages: {e}; what it installed is not known")
    })?;
    if packages.len() > MAX_PACKAGES {
        return Err(format!(
            "lists {} packages, more than the {MAX_PACKAGES} that are read; what it installed is not known",
            packages.len()
        ));
    }
    let told = packages.into_iter().map(|package| LanguagePackage {
        ecosystem: "packagist".into(),
        name: package.name.to_lowercase(),
        version: package.version,
        path: path.into(),
        owner_package: None,
    });
    Ok(told.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metadata_is_read_to_its_first_empty_line() {
        let package =
            python("Metadata-Version: 2.1\nName: Foo.Bar__baz\nVersion: 1.2rc1\n\nName: x\n", "/p")
                .unwrap();
        assert_eq!((&*package.name, &*package.version), ("foo-bar-baz", "1.2rc1"));
        assert_eq!(python("Name: x\n\nVersion: 1\n", "/p"), None);
        assert_eq!(python("", "/p"), None);
    }

    #[test]
    fn both_forms_of_composers_list_are_read() {
        let one = r#"[{"name":"Symfony/http-kernel","version":"v4.4.0","x":1}]"#;
        let two = format!(r#"{{"packages":{one},"dev":false}}"#);
        for text in [one, &two] {
            let told = composer(text.as_bytes(), "/p").unwrap();
            assert_eq!((&*told[0].name, &*told[0].version), ("symfony/http-kernel", "v4.4.0"));
        }
        for bad in ["", "{}", "[1]", "{\"packages\":{}}", "[{\"name\":1}]"] {
            assert!(composer(bad.as_bytes(), "/p").is_err(), "{bad}");
        }
    }

    #[test]
    fn a_hostile_list_is_refused_and_holds_no_memory() {
        for bad in [
            "[".repeat(1 << 20),
            "{\"packages\":".repeat(100_000),
            format!("[{}1]", "1,".repeat(1 << 20)),
            format!("[{}{{}}]", "{\"name\":\"\",\"version\":\"\"},".repeat(MAX_PACKAGES)),
            format!(
                "[{0}{{\"name\":\"\",\"version\":\"\"}}]",
                "{\"name\":\"\",\"version\":\"\"},".repeat(MAX_PACKAGES)
            ),
            "\0".to_owned(),
        ] {
            assert!(composer(bad.as_bytes(), "/p").is_err());
        }
        assert!(composer(b"[{\"name\":\"\xff\",\"version\":\"1\"}]", "/p").is_err());
        assert_eq!(python(&"Name: a\n".repeat(10_000), "/p"), None);
    }
}
