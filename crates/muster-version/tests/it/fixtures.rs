//! The small vectors of this repository, one file a scheme: lines in rising order or equal
//! (`a < b = c`), and after `!` what the tool refuses. The tools confirm each line in `tools.rs`.

use std::path::PathBuf;

use muster_version::Scheme;

use crate::sign;

/// What one file says.
pub(crate) struct Fixture {
    pub(crate) pairs: Vec<(String, char, String)>,
    pub(crate) refused: Vec<String>,
}

pub(crate) fn fixture(scheme: Scheme) -> Fixture {
    let path = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../fixtures/versions"))
        .join(format!("{scheme}.txt"));
    let text = std::fs::read_to_string(&path).expect("every scheme has a fixture");
    let mut fixture = Fixture { pairs: Vec::new(), refused: Vec::new() };
    for line in text.lines().filter(|line| !line.is_empty() && !line.starts_with("# ")) {
        if let Some(refused) = line.strip_prefix('!') {
            fixture.refused.push(refused.to_owned());
            continue;
        }
        let words: Vec<_> = line.split(' ').collect();
        for three in words.windows(3).step_by(2) {
            let sign = three[1].parse().expect("a sign is one character");
            fixture.pairs.push((three[0].to_owned(), sign, three[2].to_owned()));
        }
    }
    fixture
}

#[test]
fn fixtures_are_answered_as_they_say() {
    for scheme in Scheme::ALL {
        let Fixture { pairs, refused } = fixture(scheme);
        assert!(!pairs.is_empty(), "{scheme} has no pairs");
        for (a, wanted, b) in pairs {
            let said = sign(scheme.compare(&a, &b));
            assert_eq!(said, wanted, "{scheme}: {a} {b}");
        }
        for text in refused {
            assert!(!scheme.is_valid(&text), "{scheme}: {text:?} is taken");
            assert_eq!(scheme.compare(&text, "1"), None, "{scheme}: {text:?} is compared");
        }
    }
}

/// The types of one scheme answer as the scheme does.
#[test]
fn parsed_versions_are_ordered_as_their_scheme_orders() {
    macro_rules! check {
        ($($scheme:ident $name:ident),*) => {$(
            let known = fixture(Scheme::$scheme);
            for (a, sign, b) in &known.pairs {
                let left = muster_version::$name::parse(a).expect("the fixture has versions");
                let right = muster_version::$name::parse(b).expect("the fixture has versions");
                assert_eq!(crate::sign(Some(left.cmp(&right))), *sign, "{left:?} {right:?}");
                assert_eq!(left == right, *sign == '=', "{left:?} {right:?}");
                assert_eq!(left.as_str(), a);
                let (mut of_type, mut of_scheme) = (Vec::new(), Vec::new());
                left.write_key(&mut of_type);
                Scheme::$scheme.write_key(a, &mut of_scheme).expect("the fixture has versions");
                assert_eq!(of_type, of_scheme);
            }
            for text in &known.refused {
                assert_eq!(muster_version::$name::parse(text), None, "{text:?}");
            }
        )*};
    }
    check!(
        Dpkg DpkgVersion, Rpm RpmVersion, Apk ApkVersion, Semver SemverVersion, Npm NpmVersion,
        Pep440 Pep440Version, Composer ComposerVersion, RubyGems RubyGemsVersion,
        Maven MavenVersion, Golang GolangVersion
    );
}
