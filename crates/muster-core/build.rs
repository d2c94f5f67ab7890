//! Turns `catalog/distros/*.toml` and the names in `catalog/webapps/*.toml` into static tables, so that nothing is read
//! or parsed when a command starts.
//!
//! A wrong file ends the build with its name and the reason. It knows the shape of the files, never their facts.

#![expect(
    clippy::disallowed_methods,
    reason = "a build script is told its folders by the environment"
)]

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::{env, fs};

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Distribution {
    id: String,
    name: String,
    kin: Option<String>,
    osv: Option<String>,
    scheme: String,
    matched_by: String,
    version_parts: u8,
    paid_support: Option<String>,
    source: String,
    as_of: toml::value::Datetime,
    #[serde(default)]
    release: Vec<Release>,
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Release {
    version: String,
    codename: Option<String>,
    #[serde(default)]
    lts: bool,
    released: Option<toml::value::Datetime>,
    ends: Option<toml::value::Datetime>,
    paid_until: Option<toml::value::Datetime>,
    third_party_until: Option<toml::value::Datetime>,
}

/// What of a web application's file tells the names that others know it by. How it is recognised is the inspector's part,
/// and its reader refuses what neither of the two knows.
#[derive(serde::Deserialize)]
struct Application {
    product: String,
    name: String,
    order: String,
    calendar: Option<String>,
    #[serde(flatten)]
    names: Names,
    #[serde(default)]
    part: Vec<Part>,
}

#[derive(serde::Deserialize)]
struct Part {
    kind: String,
    #[serde(flatten)]
    names: Names,
}

/// The names by ecosystem; of a part, patterns in which `{slug}` stands for its own name.
#[derive(serde::Deserialize)]
struct Names {
    #[serde(default)]
    packagist: List,
    #[serde(default)]
    pypi: List,
    #[serde(default)]
    rubygems: List,
    #[serde(default)]
    npm: List,
    #[serde(default)]
    maven: List,
    #[serde(default)]
    go: List,
    #[serde(default)]
    cpe: List,
}

#[derive(Default, serde::Deserialize)]
#[serde(untagged)]
enum List {
    #[default]
    None,
    One(String),
    Several(Vec<String>),
}

impl List {
    fn names(&self) -> &[String] {
        match self {
            Self::None => &[],
            Self::One(name) => std::slice::from_ref(name),
            Self::Several(names) => names,
        }
    }
}

impl Names {
    /// Returns the code of a list of pairs of ecosystem and name, which all are lower case there.
    fn code(&self, of: &str) -> String {
        let mut code = String::from("&[");
        for (ecosystem, list) in [
            ("packagist", &self.packagist),
            ("pypi", &self.pypi),
            ("rubygems", &self.rubygems),
            ("npm", &self.npm),
            ("maven", &self.maven),
            ("go", &self.go),
            ("cpe", &self.cpe),
        ] {
            for name in list.names() {
                assert!(
                    ecosystem != "cpe" || name.split(':').count() == 2,
                    "{of}: the CPE {name:?} is not vendor:product"
                );
                // A vendor's own escapes (`joomla\!`) are no part of the name.
                let name = name.to_lowercase().replace('\\', "");
                write!(code, "({ecosystem:?}, {name:?}), ").expect("a string takes text");
            }
        }
        code.push(']');
        code
    }
}

fn main() {
    let catalog =
        Path::new(&env::var("CARGO_MANIFEST_DIR").expect("cargo sets it")).join("../../catalog");
    let out = PathBuf::from(env::var("OUT_DIR").expect("cargo sets it"));
    fs::write(out.join("distributions.rs"), distributions(&catalog.join("distros")))
        .expect("the build folder is writable");
    fs::write(out.join("applications.rs"), applications(&catalog.join("webapps")))
        .expect("the build folder is writable");
}

/// Returns the TOML files of a folder, in the order of their names.
fn files(folder: &Path) -> Vec<PathBuf> {
    println!("cargo::rerun-if-changed={}", folder.display());
    let mut files: Vec<PathBuf> = fs::read_dir(folder)
        .unwrap_or_else(|e| panic!("{}: {e}", folder.display()))
        .map(|e| e.expect("readable").path())
        .filter(|f| f.extension().is_some_and(|e| e == "toml"))
        .collect();
    files.sort_by(|a, b| a.file_stem().cmp(&b.file_stem()));
    files
}

fn applications(folder: &Path) -> String {
    let mut code = String::from("&[\n");
    for file in files(folder) {
        let text = fs::read_to_string(&file).expect("readable");
        let application: Application =
            toml::from_str(&text).unwrap_or_else(|e| panic!("{}: {e}", file.display()));
        let product = &application.product;
        assert_eq!(
            file.file_stem().and_then(|s| s.to_str()),
            Some(&**product),
            "a file is named for its product"
        );
        writeln!(
            code,
            "Application {{ product: {product:?}, name: {:?}, order: Scheme::{}, calendar: {:?}, names: {}, parts: &[",
            application.name,
            scheme(&application.order, product),
            application.calendar,
            application.names.code(product),
        )
        .expect("a string takes text");
        for part in &application.part {
            writeln!(
                code,
                "Part {{ kind: {:?}, names: {} }},",
                part.kind,
                part.names.code(product)
            )
            .expect("a string takes text");
        }
        code.push_str("] },\n");
    }
    code.push(']');
    code
}

fn scheme(order: &str, product: &str) -> &'static str {
    match order {
        "dpkg" => "Dpkg",
        "rpm" => "Rpm",
        "apk" => "Apk",
        "semver" => "Semver",
        "npm" => "Npm",
        "pep440" => "Pep440",
        "composer" => "Composer",
        "composer-letters" => "ComposerLetters",
        "rubygems" => "RubyGems",
        "maven" => "Maven",
        "golang" => "Golang",
        other => panic!("{product}: no order of versions is called {other:?}"),
    }
}

fn distributions(folder: &Path) -> String {
    let mut code = String::from("&[\n");
    for file in &files(folder) {
        let text = fs::read_to_string(file).expect("readable");
        let distribution: Distribution =
            toml::from_str(&text).unwrap_or_else(|e| panic!("{}: {e}", file.display()));
        assert_eq!(
            file.file_stem().and_then(|s| s.to_str()),
            Some(&*distribution.id),
            "a file is named for its id"
        );
        write_distribution(&mut code, &distribution);
    }
    code.push(']');
    code
}

fn write_distribution(code: &mut String, d: &Distribution) {
    let scheme = match d.scheme.as_str() {
        "dpkg" => "Dpkg",
        "rpm" => "Rpm",
        "apk" => "Apk",
        other => panic!("{}: scheme {other:?} is none of dpkg, rpm, apk", d.id),
    };
    let by = match d.matched_by.as_str() {
        "source" => "Source",
        "binary" => "Binary",
        other => panic!("{}: matched_by {other:?} is none of source, binary", d.id),
    };
    writeln!(
        code,
        "Distribution {{ id: {:?}, name: {:?}, kin: {:?}, osv: {:?}, scheme: Scheme::{scheme}, matched_by: By::{by}, version_parts: {}, paid_support: {:?}, source: {:?}, as_of: {}, releases: &[",
        d.id, d.name, d.kin, d.osv, d.version_parts, d.paid_support, d.source, bare_date(&d.as_of, &d.id),
    )
    .expect("a string takes text");
    for r in &d.release {
        writeln!(
            code,
            "Release {{ version: {:?}, codename: {:?}, lts: {}, released: {}, ends: {}, paid_until: {}, third_party_until: {} }},",
            r.version,
            r.codename,
            r.lts,
            date(r.released.as_ref(), &d.id),
            date(r.ends.as_ref(), &d.id),
            date(r.paid_until.as_ref(), &d.id),
            date(r.third_party_until.as_ref(), &d.id),
        )
        .expect("a string takes text");
    }
    code.push_str("] },\n");
}

fn date(value: Option<&toml::value::Datetime>, id: &str) -> String {
    value.map_or("None".into(), |value| format!("Some({})", bare_date(value, id)))
}

fn bare_date(value: &toml::value::Datetime, id: &str) -> String {
    let Some(d) = value.date else { panic!("{id}: {value} is not a date") };
    format!("date({}, {}, {})", d.year, d.month, d.day)
}
