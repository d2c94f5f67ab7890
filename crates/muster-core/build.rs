//! Turns `catalog/distros/*.toml` into one static table, so that nothing is read or parsed when a command starts.
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

fn main() {
    let folder = Path::new(&env::var("CARGO_MANIFEST_DIR").expect("cargo sets it"))
        .join("../../catalog/distros");
    println!("cargo::rerun-if-changed={}", folder.display());
    let mut files: Vec<PathBuf> = fs::read_dir(&folder)
        .expect("catalog/distros is there")
        .map(|e| e.expect("readable").path())
        .collect();
    files.sort();
    let mut code = String::from("&[\n");
    for file in files.iter().filter(|f| f.extension().is_some_and(|e| e == "toml")) {
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
    let out = PathBuf::from(env::var("OUT_DIR").expect("cargo sets it")).join("distributions.rs");
    fs::write(out, code).expect("the build folder is writable");
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
