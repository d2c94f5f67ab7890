//! `feeds.toml`: what is compiled in, what is refused and where, and what a selection means.

use std::collections::BTreeSet;
use std::path::Path;

use muster_net::http::pull::{DEFAULT, Feeds, Plan, Selection};

const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");

fn plan(feeds: &Feeds, names: &[&str], distributions: &[&str]) -> Result<String, String> {
    let own = |list: &[&str]| list.iter().map(|name| (*name).to_owned()).collect();
    let selection = Selection { names: own(names), distributions: own(distributions) };
    Plan::new(feeds, Path::new("/nonexistent"), &selection)
        .map(|plan| plan.to_string())
        .map_err(|error| error.to_string())
}

#[test]
fn what_is_compiled_in_is_sound() {
    let feeds = Feeds::parse(DEFAULT).unwrap_or_else(|error| panic!("{error}"));
    assert!(feeds.feeds().len() >= 20);
    for feed in feeds.feeds() {
        assert!(feed.docs.starts_with("https://"), "{} has no page of its publisher", feed.name);
        for distribution in &feed.distributions {
            let known = format!("{ROOT}/catalog/distros/{distribution}.toml");
            assert!(Path::new(&known).exists(), "{}: no {known}", feed.name);
        }
    }
    let all = plan(&feeds, &[], &[]).unwrap();
    assert!(!all.contains("http://"), "{all}");
    assert!(!all.contains('{') || all.contains("{latest}"), "{all}");
}

#[test]
fn every_feed_and_every_key_is_documented() {
    let page = std::fs::read_to_string(format!("{ROOT}/docs/reference/feeds-toml.md")).unwrap();
    for feed in Feeds::compiled_in().feeds() {
        assert!(page.contains(&format!("`{}`", feed.name)), "no line on {}", feed.name);
    }
    for key in [
        "at_once",
        "per_host",
        "connect_seconds",
        "idle_seconds",
        "proxy",
        "no_proxy",
        "ca_file",
        "from",
        "to",
        "name",
        "format",
        "content",
        "url",
        "latest",
        "file",
        "releases",
        "for",
        "on_request",
        "max_bytes",
        "max_seconds",
        "checksum",
        "signature",
        "minisign_key",
        "allow_plain_http",
        "note",
    ] {
        assert!(page.contains(&format!("| `{key}` |")), "no row on {key}");
    }
}

#[test]
fn a_selection_takes_what_is_needed_and_no_more() {
    let feeds = Feeds::compiled_in();
    let names = |plan: String| -> BTreeSet<String> {
        let heads = plan.lines().filter(|line| !line.starts_with(' '));
        heads.map(|line| line.split(' ').next().unwrap().to_owned()).collect()
    };
    let set = |list: &[&str]| list.iter().map(|name| (*name).to_owned()).collect::<BTreeSet<_>>();
    let shared = ["cisa-kev", "epss", "endoflife"];
    let debian = ["debian-tracker", "debian-dsa", "debian-dla", "debian-ela", "distro-info-debian"];
    assert_eq!(
        names(plan(&feeds, &[], &["debian"]).unwrap()),
        set(&[&debian[..], &shared[..]].concat())
    );
    assert_eq!(names(plan(&feeds, &["pypi-osv"], &[]).unwrap()), set(&["pypi-osv"]));
    let rocky = names(plan(&feeds, &["drupal-osv"], &["rocky"]).unwrap());
    assert_eq!(rocky, set(&[&shared[..], &["rocky-osv", "drupal-osv"]].concat()));
    let all = names(plan(&feeds, &[], &[]).unwrap());
    assert!(all.contains("ubuntu-osv") && !all.contains("pypi-osv"));

    let error = plan(&feeds, &["nvd"], &[]).unwrap_err();
    assert!(error.contains("no feed is called `nvd`; feeds.toml has ubuntu-osv, "), "{error}");
    assert!(error.ends_with(". If it is the folder to keep them in: --into nvd"), "{error}");
    let error = plan(&feeds, &[], &["gentoo"]).unwrap_err();
    assert!(error.contains("no distribution is called `gentoo`"), "{error}");
}

const GOOD: &str = "[[feed]]
name = \"a\"
format = \"osv\"
content = \"zip\"
url = \"https://a.example/all.zip\"
file = \"a.zip\"
max_bytes = 1_000
max_seconds = 10
note = \"https://a.example/\"
";

#[test]
fn a_mistake_is_shown_with_line_and_caret_and_the_valid_names() {
    Feeds::parse(GOOD).unwrap();
    for (change, to, line, told) in [
        (
            "name = \"a\"",
            "nmae = \"a\"",
            2,
            "unknown field `nmae`, expected one of `name`, `format`",
        ),
        ("\"osv\"", "\"osvv\"", 3, "unknown variant `osvv`, expected one of `alpine-secdb`"),
        ("\"zip\"", "\"tar\"", 4, "unknown variant `tar`, expected one of `bzip2`"),
        ("https://a.example/all", "http://a.example/all", 5, "plain http"),
        ("https://a.example/all", "https://me:pw@a.example/all", 5, "user name or a password"),
        ("https://a.example/all", "ftp://a.example/all", 5, "scheme `ftp`"),
        ("https://a.example/all", "a.example/all", 5, "not an address"),
        ("all.zip", "{edition}.zip", 5, "unknown placeholder"),
        ("all.zip", "{release}.zip", 5, "go together"),
        ("all.zip", "{latest}", 5, "go together"),
        ("\"a.zip\"", "\"../a.zip\"", 6, "a file is one name"),
        ("\"a.zip\"", "\".pull\"", 6, "a file is one name"),
        ("1_000", "0", 7, "max_bytes lies between"),
        ("1_000", "-1", 7, "invalid value"),
        ("1_000", "\"1 GB\"", 7, "invalid type"),
        ("= 10\n", "= 100_000\n", 8, "max_seconds lies between 1 and 86400"),
        (
            "[[feed]]",
            "[[feeds]]",
            1,
            "unknown field `feeds`, expected one of `pull`, `mirror`, `feed`",
        ),
        ("[[feed]]", "[pull]\nat_once = 99\n[[feed]]", 2, "at_once lies between 1 and 16"),
        ("[[feed]]", "[pull]\nproxy = \"socks5://x\"\n[[feed]]", 2, "proxy"),
        ("[[feed]]", "[pull]\ntimeout = 1\n[[feed]]", 2, "unknown field `timeout`"),
        (
            "[[feed]]",
            "[[mirror]]\nfrom = \"https://a.example\"\nto = \"https://b.example/\"\n[[feed]]",
            2,
            "end it with `/`",
        ),
        (
            "[[feed]]",
            "[[mirror]]\nfrom = \"https://a.example/\"\nto = \"http://b.example/\"\n[[feed]]",
            3,
            "allow_plain_http",
        ),
        (
            "note",
            "signature = { url = \"{url}.minisig\", minisign_key = \"RWnonsense\" }\nnote",
            9,
            "not a minisign public key",
        ),
        ("note", "releases = []\nnote", 9, "releases names 1 to 64"),
        ("note", "for = [\"../x\"]\nnote", 9, "a distribution is of letters"),
    ] {
        let text = GOOD.replacen(change, to, 1);
        let error = Feeds::parse(&text).expect_err(told);
        assert!(error.what.contains(told), "{to}: {error}");
        assert_eq!(error.line, line, "{to}: {error}");
        assert!(error.snippet.contains('^'), "{to}: {error}");
        assert!(error.to_string().starts_with(&format!("line {line}, column ")), "{error}");
    }
    let twice = format!("{GOOD}{GOOD}");
    let error = Feeds::parse(&twice).unwrap_err();
    assert_eq!(error.line, 11);
    assert!(error.what.contains("the name `a` stands on line 2 already"), "{error}");
    let same_file = format!("{GOOD}{}", GOOD.replacen("\"a\"", "\"b\"", 1));
    let error = Feeds::parse(&same_file).unwrap_err();
    assert!(error.what.contains("the file `a.zip` stands on line 6 already"), "{error}");
    assert!(Feeds::parse(&"#".repeat(2 << 20)).is_err());
    assert!(Feeds::parse("\0").is_err());
    assert!(Feeds::parse("").unwrap().feeds().is_empty());
}

#[test]
fn the_caret_stands_under_the_mistake() {
    let text = GOOD.replacen("\"osv\"", "\"osvv\"", 1);
    let error = Feeds::parse(&text).unwrap_err();
    assert_eq!((error.line, error.column), (3, 10));
    assert_eq!(error.snippet, "    3 | format = \"osvv\"\n      |          ^^^^^^");
}
