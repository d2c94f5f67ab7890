//! One answer in seven formats: the same set of findings, nothing of the machine that asks, nothing a terminal obeys.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::feeds::{self, osv};
use crate::runs::{self, Folder, NOW, Ran, run};
use crate::servers::{self, stanza};

const FORMATS: [&str; 7] = ["table", "json", "ndjson", "sarif", "cyclonedx", "openvex", "csv"];

/// A server with findings of many kinds, and the advisories to judge it by.
fn full() -> (Folder, Folder, String) {
    let folder = Folder::new();
    let file = feeds::debian_file(&folder);
    let root = servers::debian();
    let status = std::fs::read_to_string(root.at("var/lib/dpkg/status")).unwrap()
        + &stanza("linux-image-6.1.0-15-amd64", "6.1.66-1", "linux-signed-amd64 (6.1.66+1)", "")
        + &stanza("half", "1-1", "", "")
            .replace("install ok installed", "install ok half-configured")
        + &stanza("stuck", "1-1", "", "").replace("install ok installed", "hold ok installed");
    root.write("var/lib/dpkg/status", status)
        .write("boot/vmlinuz-6.1.0-15-amd64", "")
        .write("var/run/reboot-required", "*** System restart required ***\n")
        .write("var/run/reboot-required.pkgs", "linux-base\n");
    servers::with_lists(
        &root,
        &servers::offer("stuck", "2-1", ""),
        &servers::offer("libharbour1", "2.0-1+deb12u1", "harbour"),
    );
    let list = "var/lib/apt/lists/apt.example.org_wiki_dists_stable";
    let foreign = servers::offer("wiki-farm", "0.9-1", "");
    let status = std::fs::read_to_string(root.at("var/lib/dpkg/status")).unwrap()
        + &stanza("wiki-farm", "0.9-1", "", "");
    root.write("var/lib/dpkg/status", status)
        .write("etc/apt/sources.list.d/wiki.list", "deb http://apt.example.org/wiki stable main\n")
        .write(
            &format!("{list}_InRelease"),
            servers::release("Wiki Farm", "stable", "stable", "Wiki", &foreign),
        )
        .write(&format!("{list}_main_binary-amd64_Packages"), &foreign);
    (folder, root, file)
}

fn inspect(root: &Folder, file: &str, format: &str, more: &[&str]) -> Ran {
    let root = root.text("");
    let mut arguments =
        vec!["inspect", &root, "--now", NOW, "--advisories", file, "--format", format];
    arguments.extend(more);
    run(&arguments)
}

fn ids(values: &[Value], of: impl Fn(&Value) -> String) -> BTreeSet<String> {
    values.iter().map(of).collect()
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("no text: {value}")).to_owned()
}

#[test]
fn every_format_carries_the_same_findings() {
    let (_folder, root, file) = full();
    for more in [&[][..], &["--all"]] {
        let answer = inspect(&root, &file, "json", more).is(1).json();
        let findings = answer["findings"].as_array().unwrap();
        let kinds = ids(findings, |f| text(&f["kind"]));
        for kind in ["advisory", "archive-update", "third-party", "update-channel"] {
            assert!(kinds.contains(kind), "the test would prove less: {kinds:?}");
        }
        assert!(!kinds.contains("reboot"), "a folder has no running state, whatever lies in it");
        let known = ids(findings, |f| text(&f["id"]));

        let lines = inspect(&root, &file, "ndjson", more).is(1);
        let lines: Vec<Value> =
            lines.text().lines().map(|l| serde_json::from_str(l).unwrap()).collect();
        assert_eq!(&lines, findings);

        let sarif = inspect(&root, &file, "sarif", more).is(1).json();
        let results = sarif["runs"][0]["results"].as_array().unwrap();
        let properties: Vec<Value> = results.iter().map(|r| r["properties"].clone()).collect();
        assert_eq!(&properties, findings);
        sound_sarif(&sarif);

        let cyclonedx = inspect(&root, &file, "cyclonedx", more).is(1).json();
        let told = ids(cyclonedx["vulnerabilities"].as_array().unwrap(), |v| {
            let reference =
                v["references"].as_array().and_then(|r| r.first()).map(|r| text(&r["id"]));
            reference.unwrap_or_else(|| text(&v["id"]))
        });
        assert_eq!(told, known);
        sound_cyclonedx(&cyclonedx);

        let openvex = inspect(&root, &file, "openvex", more).is(1).json();
        let notes = ids(openvex["statements"].as_array().unwrap(), |s| text(&s["status_notes"]));
        for finding in findings {
            let note = format!("{}: {}", text(&finding["id"]), text(&finding["title"]));
            assert!(notes.contains(&note), "{note} is not told");
        }
        assert_eq!(notes.len(), ids(findings, |f| format!("{}{}", f["id"], f["title"])).len());
        sound_openvex(&openvex);

        let csv = inspect(&root, &file, "csv", more).is(1);
        let rows: Vec<&str> = csv.text().split("\r\n").filter(|l| !l.is_empty()).collect();
        assert_eq!(rows.len(), findings.len() + 1);
        for (row, finding) in rows.iter().skip(1).zip(findings) {
            assert!(row.starts_with(&format!("{},", text(&finding["kind"]))), "{row}");
            assert!(row.contains(&text(&finding["id"])), "{row}");
        }
    }
}

/// What the specification of SARIF 2.1.0 (chapters 3.14 to 3.27) asks of the parts that are used.
fn sound_sarif(log: &Value) {
    assert_eq!(log["version"], "2.1.0");
    let run = &log["runs"][0];
    let rules = run["tool"]["driver"]["rules"].as_array().unwrap();
    assert_eq!(ids(rules, |r| text(&r["id"])).len(), rules.len(), "the ids of rules are unique");
    for result in run["results"].as_array().unwrap() {
        let index = usize::try_from(result["ruleIndex"].as_u64().unwrap()).unwrap();
        assert_eq!(rules[index]["id"], result["ruleId"]);
        assert!(["none", "note", "warning", "error"].contains(&result["level"].as_str().unwrap()));
        let kind = result["kind"].as_str().unwrap();
        assert!(
            ["pass", "open", "informational", "notApplicable", "review", "fail"].contains(&kind)
        );
        assert!(
            kind == "fail" || result["level"] == "none",
            "3.27.10: a level only with a failure: {result}"
        );
        assert!(!text(&result["message"]["text"]).is_empty());
        let place = text(&result["locations"][0]["physicalLocation"]["artifactLocation"]["uri"]);
        assert!(!place.starts_with('/'), "relative to its base: {place}");
    }
    assert_eq!(run["invocations"][0]["executionSuccessful"], true);
}

/// What the schema of CycloneDX 1.6 asks of the parts that are used.
fn sound_cyclonedx(bom: &Value) {
    assert_eq!(
        (bom["bomFormat"].as_str(), bom["specVersion"].as_str()),
        (Some("CycloneDX"), Some("1.6"))
    );
    let serial = text(&bom["serialNumber"]);
    let digits = serial.strip_prefix("urn:uuid:").unwrap();
    let groups: Vec<usize> = digits.split('-').map(str::len).collect();
    assert_eq!(groups, [8, 4, 4, 4, 12], "{serial}");
    assert!(digits.bytes().all(|b| b == b'-' || b.is_ascii_digit() || (b'a'..=b'f').contains(&b)));
    let mut refs: Vec<String> =
        bom["components"].as_array().unwrap().iter().map(|c| text(&c["bom-ref"])).collect();
    for component in bom["components"].as_array().unwrap() {
        assert!(text(&component["purl"]).starts_with("pkg:deb/debian/"), "{component}");
        assert!(!text(&component["name"]).is_empty());
    }
    refs.push(text(&bom["metadata"]["component"]["bom-ref"]));
    let vulnerabilities = bom["vulnerabilities"].as_array().unwrap();
    for vulnerability in vulnerabilities {
        for affected in vulnerability["affects"].as_array().unwrap() {
            assert!(refs.contains(&text(&affected["ref"])), "{affected} leads nowhere");
        }
        let state = vulnerability["analysis"]["state"].as_str().unwrap();
        let states = [
            "resolved",
            "resolved_with_pedigree",
            "exploitable",
            "in_triage",
            "false_positive",
            "not_affected",
        ];
        assert!(states.contains(&state), "{state}");
        let severity = vulnerability["ratings"][0]["severity"].as_str().unwrap();
        assert!(
            ["critical", "high", "medium", "low", "info", "none", "unknown"].contains(&severity),
            "{severity}"
        );
        for reference in vulnerability["references"].as_array().unwrap() {
            assert!(reference["id"].is_string() && reference["source"].is_object(), "{reference}");
        }
    }
    refs.extend(vulnerabilities.iter().map(|v| text(&v["bom-ref"])));
    let every: BTreeSet<&String> = refs.iter().collect();
    assert_eq!(every.len(), refs.len(), "every bom-ref is unique");
}

/// What the specification of OpenVEX 0.2.0 asks.
fn sound_openvex(document: &Value) {
    assert_eq!(document["@context"], "https://openvex.dev/ns/v0.2.0");
    assert!(text(&document["@id"]).starts_with("urn:") && document["version"] == 1);
    assert_eq!(document["timestamp"], NOW);
    assert!(document["author"].is_string());
    for statement in document["statements"].as_array().unwrap() {
        assert!(!text(&statement["vulnerability"]["name"]).is_empty());
        assert!(!statement["products"].as_array().unwrap().is_empty());
        match statement["status"].as_str().unwrap() {
            "not_affected" => assert!(
                statement["justification"].is_string() || statement["impact_statement"].is_string(),
                "{statement}"
            ),
            "affected" => assert!(!text(&statement["action_statement"]).is_empty(), "{statement}"),
            status => assert!(["fixed", "under_investigation"].contains(&status), "{status}"),
        }
    }
}

#[test]
fn the_same_question_has_the_same_bytes() {
    let (_folder, root, file) = full();
    for format in FORMATS {
        let first = inspect(&root, &file, format, &["--all"]).is(1);
        let mut again = runs::muster();
        again
            .current_dir("/")
            .env("TZ", "Asia/Kathmandu")
            .env("LC_ALL", "tr_TR.UTF-8")
            .env("COLUMNS", "40");
        again.args([
            "inspect",
            &root.text(""),
            "--now",
            NOW,
            "--advisories",
            &file,
            "--all",
            "--format",
            format,
        ]);
        assert_eq!(runs::finished(&mut again).is(1).out, first.out, "{format}");
    }
}

#[test]
fn the_clock_that_is_told_is_the_one_that_answers() {
    let (_folder, root, file) = full();
    let mut arguments = vec![
        "inspect".to_owned(),
        root.text(""),
        "--advisories".into(),
        file,
        "--format".into(),
        "json".into(),
    ];
    arguments.extend(["--now".into(), "2031-01-01T00:00:00Z".into()]);
    let late = run(&arguments).is(1).json();
    assert_eq!(late["at"], "2031-01-01T00:00:00Z");
    assert_eq!(late["os"]["support"]["state"], "ended", "{}", late["os"]);
    *arguments.last_mut().unwrap() = "2024-01-01T00:00:00Z".into();
    let early = run(&arguments).is(1);
    assert_eq!(early.json()["os"]["support"]["state"], "supported");
}

#[test]
fn the_table_fits_80_columns_and_begins_with_the_sentence() {
    let (_folder, root, file) = full();
    for more in [&[][..], &["--all"], &["--strict"]] {
        let table = inspect(&root, &file, "table", more).is(1);
        let sentence = text(&inspect(&root, &file, "json", more).is(1).json()["sentence"]);
        let lines: Vec<&str> = table.text().lines().collect();
        for line in &lines {
            assert!(line.chars().count() <= 80, "{} columns: {line}", line.chars().count());
        }
        let first: Vec<&str> = lines.iter().take_while(|l| !l.is_empty()).copied().collect();
        assert_eq!(first.join(" "), sentence);
        assert!(!table.text().contains('\x1b'));
        let last = lines.last().unwrap();
        assert!(last.starts_with("Run:  "), "{last}");
    }
}

#[test]
fn nothing_of_a_hostile_server_or_feed_reaches_the_terminal() {
    let folder = Folder::new();
    let evil = "har\\u001b[31mbour\\u202e\\u0000\\u009b";
    let record =
        osv("DEBIAN-CVE-2026-1", "Debian:12", "harbour", Some("9-1"), "2026-11-05T00:00:00Z")
            .replace("A flaw in harbour", &format!("A flaw in {evil} and {}", "long".repeat(60)));
    let twin = record
        .replace("2026-1\"", "2026-2\"")
        .replace("\"name\":\"harbour\"", &format!("\"name\":\"{evil}\""));
    folder.write("d.ndjson", record + &twin);
    let file = folder.text("f");
    run(&["feed", "build", "-o", &file, &folder.text("d.ndjson")]);
    let mut status = stanza("libharbour1", "2.0-1", "harbour", "").into_bytes();
    for name in [
        &b"ev\x1b]0;title\x07il"[..],
        b"nu\0ll",
        "r\u{202e}tl".as_bytes(),
        b"\xff\xfe",
        b"c\xc2\x9bsi",
    ] {
        let stanza = stanza("NAME", "1\x1b[2J-1", "har\x1b[31mbour\u{202e}", "");
        let (before, after) = stanza.split_once("NAME").unwrap();
        status.extend([before.as_bytes(), name, after.as_bytes()].concat());
        status.extend(stanza.replace("NAME", "held\x1bx").replace("install ok", "hold ok").bytes());
    }
    let root = Folder::new();
    root.write(
        "etc/os-release",
        "ID=debian\nVERSION_ID=12\nPRETTY_NAME=\"Debian \x1b[1m\u{202e}\"\n",
    )
    .write("var/lib/dpkg/status", &status)
    .write("var/run/reboot-required.pkgs", "bo\x1b[5mot\n")
    .write("var/run/reboot-required", "");
    let hostile = |c: char| {
        (c.is_control() && c != '\n')
            || ('\u{202a}'..='\u{202e}').contains(&c)
            || ('\u{2066}'..='\u{2069}').contains(&c)
    };
    let shown = [
        inspect(&root, &file, "table", &[]).is(1),
        inspect(&root, &file, "table", &["--all"]).is(1),
        run(&[
            "inspect",
            &root.text(""),
            "--advisories",
            &file,
            "--now",
            NOW,
            "--why",
            "CVE-2026-1",
        ])
        .is(1),
        run(&["advisory", "DEBIAN-CVE-2026-1", "--advisories", &file]).is(0),
        run(&["advisory", "no\x1b[31m\u{202e}", "--advisories", &file]).is(2),
        run(&["inspect", "no\x1b[31m\u{202e}"]).is(2),
        run(&["feed", "show", &file]).is(0),
        run(&["feed", "build", "-o", &folder.text("g"), &folder.text("d.ndjson")]),
    ];
    for ran in shown {
        let found = ran.text().chars().chain(ran.err.chars()).find(|c| hostile(*c));
        assert_eq!(found, None, "{:?}\n{:?}", ran.text(), ran.err);
    }
    for line in inspect(&root, &file, "table", &["--all"]).text().lines() {
        assert!(line.chars().count() <= 80, "{line}");
    }
    // The formats for programs keep the name, escaped by their own rules.
    for format in ["json", "ndjson", "sarif", "cyclonedx", "openvex"] {
        let ran = inspect(&root, &file, format, &[]).is(1);
        assert!(!ran.out.iter().any(|b| *b < 0x20 && *b != b'\n'), "{format}");
    }
}

#[test]
fn the_answer_is_as_its_schema_says() {
    let python = "import json,sys\nimport jsonschema\nschema=json.load(open(sys.argv[1]))\nV=jsonschema.Draft202012Validator\nV.check_schema(schema)\nv=V(schema,format_checker=V.FORMAT_CHECKER)\nbad=[f'{p}: {list(e.absolute_path)}: {e.message[:400]}' for p in sys.argv[2:] for e in v.iter_errors(json.load(open(p)))]\nprint('\\n'.join(bad))\nsys.exit(bool(bad))";
    let ready = Command::new("python3")
        .args(["-c", "import jsonschema; jsonschema.Draft202012Validator"])
        .output();
    if !ready.is_ok_and(|o| o.status.success()) {
        return runs::not_run("python3-jsonschema");
    }
    let schema =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/reference/inspection.schema.json");
    let (folder, root, file) = full();
    let (old, alpine) = (servers::august_2007(), Folder::new());
    alpine
        .write("etc/os-release", "ID=strange\n")
        .write("lib/apk/db/installed", "P:a\nV:1-r0\nA:x86_64\n\n");
    let mut paths = Vec::new();
    for (name, root) in [("full", &root), ("old", &old), ("alpine", &alpine)] {
        for (more, word) in [(&[][..], "plain"), (&["--all"], "all")] {
            let ran = inspect(root, &file, "json", more).is(1);
            let name = format!("{name}-{word}.json");
            folder.write(&name, &ran.out);
            paths.push(folder.at(&name));
        }
    }
    let check = |paths: &[std::path::PathBuf]| {
        Command::new("python3").args(["-c", python]).arg(&schema).args(paths).output().unwrap()
    };
    let checked = check(&paths);
    assert!(
        checked.status.success(),
        "{}{}",
        String::from_utf8_lossy(&checked.stdout),
        String::from_utf8_lossy(&checked.stderr)
    );
    // A schema that takes anything would prove nothing.
    let good = inspect(&root, &file, "json", &[]).is(1).json();
    let mut wrong = Vec::new();
    let bends: [fn(&mut Value); 5] = [
        |v| v["findings"][0]["verdict"] = "clean".into(),
        |v| v["findings"][0]["kind"] = "other".into(),
        |v| drop(v.as_object_mut().unwrap().remove("unknown")),
        |v| v["at"] = "yesterday".into(),
        |v| v["packages"]["installed"] = (-1).into(),
    ];
    for (n, bend) in bends.iter().enumerate() {
        let mut bent = good.clone();
        bend(&mut bent);
        let name = format!("bent-{n}.json");
        folder.write(&name, bent.to_string());
        wrong.push(folder.at(&name));
    }
    for path in wrong {
        assert!(
            !check(std::slice::from_ref(&path)).status.success(),
            "{} is taken",
            path.display()
        );
    }
}

#[test]
fn every_key_of_the_answer_stands_in_the_schema() {
    let place =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/reference/inspection.schema.json");
    let schema: Value = serde_json::from_slice(&std::fs::read(place).unwrap()).unwrap();
    let mut documented = BTreeSet::new();
    properties(&schema, &mut documented);
    let (_folder, root, file) = full();
    let mut answer = inspect(&root, &file, "json", &["--all"]).is(1).json();
    // The keys below `source_times` are names of feeds.
    answer["advisories"]["source_times"] = Value::Null;
    let mut said = BTreeSet::new();
    keys(&answer, &mut said);
    let missing: Vec<_> = said.difference(&documented).collect();
    assert!(missing.is_empty(), "without a word in the schema: {missing:?}");
}

fn properties(schema: &Value, found: &mut BTreeSet<String>) {
    match schema {
        Value::Object(map) => {
            for (key, value) in map {
                if key == "properties" {
                    for (name, of) in value.as_object().unwrap() {
                        if of.get("description").is_some() || of.get("const").is_some() {
                            found.insert(name.clone());
                        }
                    }
                }
                properties(value, found);
            }
        }
        Value::Array(list) => list.iter().for_each(|v| properties(v, found)),
        _ => {}
    }
}

fn keys(value: &Value, found: &mut BTreeSet<String>) {
    match value {
        Value::Object(map) => {
            for (key, value) in map {
                found.insert(key.clone());
                keys(value, found);
            }
        }
        Value::Array(list) => list.iter().for_each(|v| keys(v, found)),
        _ => {}
    }
}

#[test]
fn several_roots_are_answered_in_turn_and_only_where_that_can_be_told_apart() {
    let (_folder, root, file) = full();
    let other = servers::august_2007();
    let both = |format: &str| {
        run(&[
            "inspect",
            &root.text(""),
            &other.text(""),
            "--advisories",
            &file,
            "--now",
            NOW,
            "--format",
            format,
        ])
    };
    assert!(both("table").is(1).text().contains("Ubuntu 6.06"));
    assert!(!both("ndjson").is(1).out.is_empty());
    for format in ["json", "sarif", "cyclonedx", "openvex", "csv"] {
        both(format).refused(&["ndjson"]);
    }
}
