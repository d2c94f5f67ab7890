//! Every scheme against the tool that defines it: the fixtures, and a few thousand generated pairs
//! from a fixed seed, all in one run of the tool. The small programs that ask the tools lie in
//! `oracles/`; texts travel as hexadecimal digits, answers are `<`, `=`, `>`, and `?` for refused.

use std::ffi::OsString;
use std::io::Write as _;
use std::process::{Command, Stdio};

use muster_version::Scheme;

use crate::fixtures::fixture;
use crate::{generate, not_run, sign};

const PAIRS: usize = 6000;
const SEED: u64 = 20_261_122;

/// A way to ask a tool, tried by running it once on no pairs at all.
struct Oracle {
    program: &'static str,
    arguments: Vec<OsString>,
    environment: Vec<(&'static str, OsString)>,
}

impl Oracle {
    fn new(program: &'static str, arguments: &[&str]) -> Self {
        let arguments = arguments.iter().map(OsString::from).collect();
        Self { program, arguments, environment: Vec::new() }
    }

    fn with(mut self, name: &'static str, value: impl Into<OsString>) -> Self {
        self.environment.push((name, value.into()));
        self
    }

    /// Runs the tool; `None` where it is missing or does not work.
    fn ask(&self, pairs: &[(String, String)]) -> Option<Vec<char>> {
        let child = Command::new(self.program)
            .args(&self.arguments)
            .envs(self.environment.iter().cloned())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn();
        let mut child = child.ok()?;
        let mut stdin = child.stdin.take()?;
        let lines: String =
            pairs.iter().map(|(a, b)| format!("{}\t{}\n", hex(a), hex(b))).collect();
        // The answers are read while the pairs are written: neither side waits for the other.
        let writer = std::thread::spawn(move || stdin.write_all(lines.as_bytes()));
        let output = child.wait_with_output().ok()?;
        let written = writer.join().is_ok_and(|written| written.is_ok());
        if !output.status.success() || !written {
            return None;
        }
        let text = String::from_utf8(output.stdout).ok()?;
        Some(text.lines().map(|line| line.parse().unwrap_or('!')).collect())
    }
}

fn hex(text: &str) -> String {
    text.bytes().map(|byte| format!("{byte:02x}")).collect()
}

fn oracle_path(file: &str) -> String {
    format!("{}/tests/it/oracles/{file}", env!("CARGO_MANIFEST_DIR"))
}

/// The fixtures of a scheme and its generated pairs.
fn pairs_of(scheme: Scheme) -> Vec<(String, String)> {
    let known = fixture(scheme);
    let mut pairs: Vec<_> = known.pairs.into_iter().map(|(a, _, b)| (a, b)).collect();
    pairs.extend(known.refused.into_iter().map(|text| (text.clone(), text)));
    pairs.extend(generate::pairs(scheme, SEED, PAIRS));
    pairs
}

/// Asks the first oracle that works about every pair that `concerns` the tool.
fn check(scheme: Scheme, needs: &str, oracles: &[Oracle], concerns: impl Fn(&str) -> bool) {
    let Some(oracle) = oracles.iter().find(|oracle| oracle.ask(&[]).is_some()) else {
        return not_run(needs);
    };
    let mut pairs = pairs_of(scheme);
    pairs.retain(|(a, b)| concerns(a) && concerns(b));
    let answers = oracle.ask(&pairs).expect("the tool worked on no pairs");
    assert_eq!(answers.len(), pairs.len(), "{needs} did not answer every pair");
    compare(scheme, &pairs, &answers, needs);
}

#[expect(clippy::print_stdout, reason = "says how much was compared")]
fn compare(scheme: Scheme, pairs: &[(String, String)], answers: &[char], needs: &str) {
    let refused = answers.iter().filter(|answer| **answer == '?').count();
    println!("{scheme}: {} pairs, {refused} refused, by {needs}", pairs.len());
    let wrong: Vec<_> = pairs
        .iter()
        .zip(answers)
        .map(|((a, b), answer)| (a, b, *answer, sign(scheme.compare(a, b))))
        .filter(|(_, _, answer, ours)| answer != ours)
        .map(|(a, b, answer, ours)| format!("{a:?} {b:?}: the tool says {answer}, we {ours}"))
        .collect();
    let shown = wrong.get(..wrong.len().min(40)).unwrap_or_default().join("\n");
    assert!(wrong.is_empty(), "{scheme}: {} wrong (seed {SEED}):\n{shown}", wrong.len());
    assert!(refused + 300 < pairs.len(), "{scheme}: hardly a pair was compared");
}

#[test]
fn dpkg_itself() {
    let works = Command::new("dpkg").args(["--compare-versions", "1", "lt", "2"]).status();
    if !works.is_ok_and(|status| status.success()) {
        return not_run("dpkg");
    }
    let mut pairs = pairs_of(Scheme::Dpkg);
    // A leading hyphen would be an option; two runs a pair, so only some of the pairs.
    pairs.retain(|(a, b)| !a.starts_with('-') && !b.starts_with('-'));
    pairs.truncate(800);
    let is = |a: &str, relation: &str, b: &str| {
        let run = Command::new("dpkg")
            .args(["--compare-versions", a, relation, b])
            .stderr(Stdio::null())
            .status();
        run.expect("dpkg ran before").code()
    };
    let answers: Vec<_> = pairs
        .iter()
        .map(|(a, b)| match (is(a, "lt", b), is(a, "eq", b)) {
            (Some(0), _) => '<',
            (_, Some(0)) => '=',
            (Some(1), Some(1)) => '>',
            _ => '?',
        })
        .collect();
    compare(Scheme::Dpkg, &pairs, &answers, "dpkg");
}

/// The module's order is dpkg's at the speed of thousands of pairs, but for bytes outside ASCII and
/// for numbers that Perl rounds. It takes more than dpkg does: what is a version, dpkg says above.
#[test]
fn dpkg_through_its_perl_module() {
    let oracle = Oracle::new("perl", &[&oracle_path("perl_dpkg.pl")]);
    if oracle.ask(&[]).is_none() {
        return not_run("libdpkg-perl");
    }
    let mut pairs = pairs_of(Scheme::Dpkg);
    let is_rounded =
        |text: &str| text.split(|c: char| !c.is_ascii_digit()).any(|digits| digits.len() > 15);
    let concerns = |text: &str| Scheme::Dpkg.is_valid(text) && text.is_ascii() && !is_rounded(text);
    pairs.retain(|(a, b)| concerns(a) && concerns(b));
    let answers = oracle.ask(&pairs).expect("the module worked on no pairs");
    let (pairs, answers): (Vec<_>, Vec<_>) =
        pairs.into_iter().zip(answers).filter(|(_, answer)| *answer != '?').unzip();
    assert!(pairs.len() > PAIRS / 5, "hardly a pair was compared");
    compare(Scheme::Dpkg, &pairs, &answers, "libdpkg-perl");
}

#[test]
fn librpm() {
    let path = oracle_path("librpm.py");
    let oracles = [Oracle::new("python3", &[&path]), Oracle::new("/usr/bin/python3", &[&path])];
    // The bindings hand over a text that ends at its first zero.
    check(Scheme::Rpm, "python3-rpm", &oracles, |text| !text.contains('\0'));
}

#[test]
fn python_packaging() {
    let path = oracle_path("pep440.py");
    let oracles = [Oracle::new("python3", &[&path]), Oracle::new("/usr/bin/python3", &[&path])];
    check(Scheme::Pep440, "packaging (pip) or python3-packaging", &oracles, |_| true);
}

#[test]
fn ruby_gem_version() {
    check(Scheme::RubyGems, "ruby", &[Oracle::new("ruby", &[&oracle_path("gem.rb")])], |_| true);
}

#[test]
fn npm_semver() {
    let path = oracle_path("npm.js");
    let global = Command::new("npm").args(["root", "-g"]).output().ok();
    let global = global.and_then(|run| String::from_utf8(run.stdout).ok()).unwrap_or_default();
    let global = global.trim();
    // As NODE_PATH says; then npm's global folder; then the copy that npm itself is made with.
    let oracles = [
        Oracle::new("node", &[&path]),
        Oracle::new("node", &[&path]).with("NODE_PATH", global),
        Oracle::new("node", &[&path]).with("NODE_PATH", format!("{global}/npm/node_modules")),
    ];
    check(Scheme::Npm, "nodejs and semver (npm)", &oracles, |_| true);
}

#[test]
fn composer_semver() {
    let oracle = Oracle::new("php", &[&oracle_path("composer.php")]);
    // Before 3.4.0 composer/semver took one short group behind a date where it now takes
    // two: asked which it is, its refusal of texts that may be such a date is left out.
    let probe = "2010-01-02-03-04-05-06-1-1".to_owned();
    assert!(Scheme::Composer.is_valid(&probe));
    let Some(answers) = oracle.ask(&[(probe.clone(), probe)]) else {
        return not_run("php-cli and php-composer-semver");
    };
    let is_old = answers == ['?'];
    let may_be_date = |text: &str| {
        let text = text.trim().trim_start_matches(['v', 'V']);
        text.bytes().take_while(|byte| matches!(byte, b'0'..=b'9' | b'.' | b'-' | b':')).count() > 7
    };
    let pairs = pairs_of(Scheme::Composer);
    let answers = oracle.ask(&pairs).expect("composer/semver worked on one pair");
    assert_eq!(answers.len(), pairs.len());
    let (pairs, answers): (Vec<_>, Vec<_>) = pairs
        .into_iter()
        .zip(answers)
        .filter(|((a, b), answer)| {
            !(is_old && *answer == '?' && (may_be_date(a) || may_be_date(b)))
        })
        .unzip();
    compare(Scheme::Composer, &pairs, &answers, "composer/semver");
}

#[test]
fn go_semver() {
    let oracle = Oracle::new("go", &["run", &oracle_path("golang.go")])
        .with("GO111MODULE", "off")
        .with("GOPATH", "/usr/share/gocode");
    check(Scheme::Golang, "golang and golang-golang-x-mod-dev", &[oracle], |text| {
        !text.starts_with("vv")
    });
}

#[test]
fn maven_comparable_version() {
    let path = oracle_path("Maven.java");
    let jars = "/usr/share/java/maven3-artifact.jar:/usr/share/java/commons-lang3.jar";
    let oracle = Oracle::new("java", &["-cp", jars, &path]);
    let mut pairs = pairs_of(Scheme::Maven);
    pairs.extend(generate::pairs(Scheme::Maven, SEED + 1, PAIRS * 2));
    // Where words and numbers are mixed freely, releases of Maven differ among each other, and each
    // contradicts itself; what projects publish has one form of suffix, and there all agree.
    pairs.retain(|(a, b)| match (suffix(a), suffix(b)) {
        (Some(left), Some(right)) => left == right || left.is_empty() || right.is_empty(),
        _ => false,
    });
    assert!(pairs.len() > 1500, "only {} pairs are left", pairs.len());
    let Some(answers) = oracle.ask(&pairs) else {
        return not_run("a JDK and libmaven3-core-java");
    };
    assert_eq!(answers.len(), pairs.len());
    compare(Scheme::Maven, &pairs, &answers, "libmaven3-core-java");
}

/// Returns the form of a plain version's suffix: its separator and whether its number is glued to
/// its word. Empty without a suffix; `None` where the version is not plain.
fn suffix(text: &str) -> Option<String> {
    let at = text.find(|c: char| c.is_ascii_alphabetic()).unwrap_or(text.len());
    let (numbers, suffix) = text.split_at(at);
    let separator = numbers.get(numbers.trim_end_matches(['.', '-']).len()..)?;
    let numbers = numbers.strip_suffix(separator)?;
    let is_number =
        |digits: &str| !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    if !numbers.split('.').all(is_number) || numbers.starts_with('0') || separator.len() > 1 {
        return None;
    }
    if suffix.is_empty() {
        return separator.is_empty().then(String::new);
    }
    let digits = suffix.trim_start_matches(|c: char| c.is_ascii_alphabetic());
    let word = suffix.strip_suffix(digits)?.to_ascii_lowercase();
    let hyphen = if digits.starts_with('-') { "-" } else { "" };
    let digits = digits.strip_prefix('-').unwrap_or(digits);
    let is_release = matches!(&*word, "ga" | "final" | "release");
    let has_digits = is_number(digits) && !digits.starts_with('0') && !is_release;
    if !(has_digits || (digits.is_empty() && hyphen.is_empty())) {
        return None;
    }
    // The hyphen of `m-1` counts in the Maven of Debian 12, and no more in newer ones.
    if !hyphen.is_empty() && (separator == "." || word.len() == 1) {
        return None;
    }
    Some(format!("{separator}a{hyphen}{}", if has_digits { "1" } else { "" }))
}
