//! `muster version compare`: every line is answered, and a wrong one costs nothing but its own answer.

use crate::runs::{run, run_fed};

#[test]
fn a_pair_is_answered_with_a_sign() {
    for (a, b, sign) in [
        ("1.0-1", "1.0-2", "<\n"),
        ("1:0-1", "2-1", ">\n"),
        ("0:1-1", "1-1", "=\n"),
        ("1~rc1", "1", "<\n"),
    ] {
        assert_eq!(run(&["version", "compare", "dpkg", a, b]).is(0).text(), sign, "{a} {b}");
    }
}

#[test]
fn every_scheme_of_the_contract_answers() {
    for scheme in
        ["dpkg", "rpm", "apk", "semver", "npm", "pep440", "composer", "rubygems", "maven", "golang"]
    {
        let (a, b) = if scheme == "golang" { ("v1.2.3", "v1.10.0") } else { ("1.2.3", "1.10.0") };
        assert_eq!(run(&["version", "compare", scheme, a, b]).is(0).text(), "<\n", "{scheme}");
    }
}

#[test]
fn each_line_has_its_answer_in_order() {
    let ran = run_fed(&["version", "compare", "dpkg", "-"], b"1\t2\n2\t2\n3\t2\n1\t1~\n").is(0);
    assert_eq!(ran.text(), "<\n=\n>\n>\n");
    assert!(ran.err.is_empty(), "{}", ran.err);
}

#[test]
fn a_wrong_line_does_not_end_the_answers() {
    let input = b"1\t2\nno tab\n1:2:\xff 3\t1\n\n2\t1\t0\n2\t1\n";
    let ran = run_fed(&["version", "compare", "dpkg", "-"], input).is(2);
    let lines: Vec<&str> = ran.text().lines().collect();
    assert_eq!(lines.len(), 6, "{ran:?}");
    assert_eq!((lines[0], lines[1], lines[2], lines[3], lines[5]), ("<", "?", "?", "?", ">"));
    for number in ["line 2", "line 3", "line 4"] {
        assert!(ran.err.contains(number), "{}", ran.err);
    }
}

#[test]
fn the_last_line_may_lack_its_end_and_lines_may_end_as_in_dos() {
    let ran = run_fed(&["version", "compare", "rpm", "-"], b"1-1\t1-2").is(0);
    assert_eq!(ran.text(), "<\n");
    assert!(run_fed(&["version", "compare", "rpm", "-"], b"").is(0).out.is_empty());
}

#[test]
fn a_line_without_end_is_one_answer() {
    let mut input = vec![b'1'; 3 << 20];
    input.extend(b"\t2\n1\t2\n");
    let ran = run_fed(&["version", "compare", "dpkg", "-"], &input);
    assert_eq!(ran.text().lines().last(), Some("<"), "{:?}", ran.err.len());
    assert_eq!(ran.text().lines().count(), 2, "{:?}", ran.text());
}

#[test]
fn a_wrong_scheme_names_the_right_ones() {
    run(&["version", "compare", "deb", "1", "2"]).refused(&[
        "dpkg", "rpm", "apk", "semver", "npm", "pep440", "composer", "rubygems", "maven", "golang",
    ]);
}

#[test]
fn a_pair_that_is_none_is_refused_by_name() {
    run(&["version", "compare", "semver", "1.0.0", "no version"])
        .refused(&["no version", "semver"]);
    run(&["version", "compare", "semver", "1.0.0"]).refused(&["1.0.0"]);
}

#[test]
fn a_reader_that_went_away_is_no_scandal() {
    use std::process::Stdio;
    let mut child = crate::runs::muster()
        .args(["version", "compare", "dpkg", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let mut pipe = child.stdin.take().unwrap();
    let writer = std::thread::spawn(move || {
        drop(std::io::Write::write_all(&mut pipe, &b"1\t2\n".repeat(200_000)));
    });
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap();
    assert!(output.stderr.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
}
