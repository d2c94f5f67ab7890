//! A detached minisign signature over the advisory file: the real tool signs, and only the right bytes pass.

use std::process::Command;

use crate::feeds;
use crate::runs::{self, Folder, NOW, Ran, finished, muster, run};
use crate::servers;

fn inspect(root: &Folder, file: &str, key: &str) -> Ran {
    run(&[
        "inspect",
        &root.text(""),
        "--now",
        NOW,
        "--advisories",
        file,
        "--advisories-key",
        key,
        "--format",
        "json",
    ])
}

/// Makes a key pair `name.pub` and `name.key`, and returns whether that was possible.
fn keys(folder: &Folder, name: &str) {
    let (public, secret) =
        (folder.text(&format!("{name}.pub")), folder.text(&format!("{name}.key")));
    let made = Command::new("minisign")
        .args(["-G", "-W", "-f", "-p", &public, "-s", &secret])
        .output()
        .unwrap();
    assert!(made.status.success(), "{made:?}");
}

fn sign(folder: &Folder, file: &str, key: &str) {
    let text = run(&["feed", "show", file, "--signed-text"]).is(0).out;
    folder.write("text", text);
    let made = Command::new("minisign")
        .args([
            "-S",
            "-s",
            &folder.text(&format!("{key}.key")),
            "-m",
            &folder.text("text"),
            "-x",
            &format!("{file}.minisig"),
        ])
        .output()
        .unwrap();
    assert!(made.status.success(), "{made:?}");
}

#[test]
fn only_the_right_key_over_the_right_bytes_passes() {
    if !runs::has("minisign") {
        return runs::not_run("minisign");
    }
    let folder = Folder::new();
    let (file, root) = (feeds::debian_file(&folder), servers::debian());
    keys(&folder, "own");
    keys(&folder, "other");
    let (own, other) = (folder.text("own.pub"), folder.text("other.pub"));
    inspect(&root, &file, &own).refused(&["debian.adv.minisig"]);
    sign(&folder, &file, "own");
    inspect(&root, &file, &own).is(1);
    let line = std::fs::read_to_string(&own).unwrap().lines().last().unwrap().to_owned();
    inspect(&root, &file, &line).is(1);
    let mut command = muster();
    command.args(["inspect", &root.text(""), "--now", NOW, "--advisories", &file]);
    finished(command.env("MUSTER_ADVISORIES_KEY", &own)).is(1);
    finished(command.env("MUSTER_ADVISORIES_KEY", &other)).refused(&["debian.adv.minisig"]);
    inspect(&root, &file, &other).refused(&["debian.adv.minisig"]);
    inspect(&root, &file, "no key at all").refused(&["minisign public key"]);
    // Another file under the same signature is another text.
    run(&["feed", "build", "-o", &folder.text("other.adv"), &folder.text("debian.osv.ndjson")])
        .is(0);
    std::fs::copy(folder.at("other.adv"), &file).unwrap();
    inspect(&root, &file, &own).refused(&["debian.adv.minisig"]);
}

#[test]
fn a_signed_file_with_one_bent_byte_is_refused_or_answers_the_same() {
    if !runs::has("minisign") {
        return runs::not_run("minisign");
    }
    let folder = Folder::new();
    let (file, root) = (feeds::debian_file(&folder), servers::debian());
    keys(&folder, "own");
    sign(&folder, &file, "own");
    let key = folder.text("own.pub");
    let whole = inspect(&root, &file, &key).is(1).out;
    let bytes = std::fs::read(&file).unwrap();
    let mut refused = 0;
    for at in (0..bytes.len()).step_by((bytes.len() / 60).max(1)) {
        let mut bent = bytes.clone();
        bent[at] ^= 0x20;
        std::fs::write(&file, bent).unwrap();
        let ran = inspect(&root, &file, &key);
        if ran.status == Some(2) {
            refused += 1;
        } else {
            assert_eq!(ran.is(1).out, whole, "byte {at}");
        }
    }
    assert!(refused > 20, "{refused}");
}

#[test]
fn the_signed_text_says_the_same_every_time_and_names_every_section() {
    let folder = Folder::new();
    let file = feeds::debian_file(&folder);
    let text = || run(&["feed", "show", &file, "--signed-text"]).is(0).out;
    assert_eq!(text(), text());
    assert!(String::from_utf8(text()).unwrap().contains("debian:12"));
}
