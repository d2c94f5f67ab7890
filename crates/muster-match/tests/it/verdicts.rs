//! From statements and versions to verdicts.

use muster_core::advisory::{By, Channel, Exploited, Item, Likelihood, Statement, Status};
use muster_core::fact::Database;
use muster_core::time::Date;
use muster_match::matching;
use muster_match::section::Section;

use super::{Compiled, MISSING, about, attached, cve, fixed, in_channel, notice, server, unfixed};

const R: &str = "debian:12";

#[test]
fn a_source_is_judged_by_the_version_of_the_source() {
    let compiled =
        Compiled::of(vec![cve("CVE-2024-0001", vec![fixed(R, "postgresql-common", "250")])]);
    // The binary's own version, 15+248, would pass for newer than the fix.
    assert_eq!(
        compiled.verdicts(R, &server(&["postgresql 15+248 postgresql-common 248"])),
        ["CVE-2024-0001 postgresql-common missing"]
    );
    assert_eq!(
        compiled.verdicts(R, &server(&["postgresql 15+250 postgresql-common 250"])),
        ["CVE-2024-0001 postgresql-common fixed"]
    );
}

#[test]
fn a_notice_speaks_for_the_flaws_it_closes() {
    let compiled = Compiled::of(vec![
        notice("DSA-1-1", &["CVE-2024-0001", "CVE-2024-0002"], vec![fixed(R, "curl", "8.0-2")]),
        cve("CVE-2024-0001", vec![fixed(R, "curl", "8.0-2")]),
        cve("CVE-2024-0003", vec![fixed(R, "curl", "8.0-3")]),
    ]);
    let old = server(&["curl 8.0-1"]);
    assert_eq!(compiled.verdicts(R, &old), ["CVE-2024-0003 curl missing", "DSA-1-1 curl missing"]);
    let findings = compiled.findings(R, &old);
    let dsa = findings.iter().find(|f| &*f.id == "DSA-1-1").unwrap();
    assert_eq!(
        about(dsa).cves.iter().map(|c| &**c).collect::<Vec<_>>(),
        ["CVE-2024-0001", "CVE-2024-0002"]
    );
    // Once the notice is applied, what it closed is closed too; a later fix is not.
    assert_eq!(
        compiled.verdicts(R, &server(&["curl 8.0-2"])),
        ["CVE-2024-0003 curl missing", "DSA-1-1 curl fixed"]
    );
}

#[test]
fn a_notice_without_a_cve_is_still_a_missing_patch() {
    let compiled =
        Compiled::of(vec![notice("DSA-2-1", &[], vec![fixed(R, "ca-certificates", "20240101")])]);
    assert_eq!(
        compiled.verdicts(R, &server(&["ca-certificates 20230311"])),
        ["DSA-2-1 ca-certificates missing"]
    );
}

#[test]
fn every_word_of_a_vendor_keeps_its_meaning() {
    let compiled = Compiled::of(vec![
        cve("CVE-2024-0001", vec![unfixed(R, "curl", Status::Needed, "needed")]),
        cve("CVE-2024-0002", vec![unfixed(R, "curl", Status::Ignored, "ignored (minor)")]),
        cve("CVE-2024-0003", vec![unfixed(R, "curl", Status::EndOfLife, "end of life")]),
        cve("CVE-2024-0004", vec![unfixed(R, "curl", Status::Undetermined, "undetermined")]),
        cve("CVE-2024-0005", vec![unfixed(R, "curl", Status::NotAffected, "not-affected")]),
        cve("CVE-2024-0006", vec![unfixed(R, "curl", Status::Deferred, "postponed")]),
        cve("CVE-2024-0007", vec![unfixed(R, "curl", Status::DoesNotExist, "DNE")]),
    ]);
    assert_eq!(
        compiled.verdicts(R, &server(&["curl 8.0-1"])),
        [
            "CVE-2024-0001 curl no-fix",
            "CVE-2024-0002 curl wont-fix",
            "CVE-2024-0003 curl end-of-support",
            "CVE-2024-0004 curl unknown",
            "CVE-2024-0005 curl not-affected",
            "CVE-2024-0006 curl no-fix",
        ]
    );
}

#[test]
fn infra_and_apps_are_told_apart() {
    let release = "ubuntu:18.04";
    let compiled = Compiled::of(vec![
        cve(
            "CVE-2024-0001",
            vec![
                unfixed(
                    release,
                    "openssl",
                    Status::EndOfLife,
                    "ignored (end of standard support, was needed)",
                ),
                in_channel(Channel::EsmInfra, fixed(release, "openssl", "1.1.1-1ubuntu2+esm1")),
            ],
        ),
        cve(
            "CVE-2024-0002",
            vec![in_channel(Channel::EsmApps, fixed(release, "redis", "5:4.0.9-1ubuntu0.2+esm1"))],
        ),
    ]);
    let host = || server(&["openssl 1.1.1-1ubuntu2", "redis 5:4.0.9-1ubuntu0.2"]);
    let both =
        ["CVE-2024-0001 openssl missing-subscription", "CVE-2024-0002 redis missing-subscription"];
    assert_eq!(compiled.verdicts(release, &host()), both);
    let infra = attached(host(), &["esm-infra"]);
    assert_eq!(
        compiled.verdicts(release, &infra),
        ["CVE-2024-0001 openssl missing", "CVE-2024-0002 redis missing-subscription"]
    );
    // A fix that came through the channel counts whether or not the server is still attached.
    let patched = server(&["openssl 1.1.1-1ubuntu2+esm1"]);
    assert_eq!(compiled.verdicts(release, &patched), ["CVE-2024-0001 openssl fixed"]);
}

#[test]
fn a_fips_build_is_held_against_its_own_advisories() {
    let release = "ubuntu:20.04";
    let compiled = Compiled::of(vec![cve(
        "CVE-2024-0001",
        vec![
            fixed(release, "openssl", "1.1.1f-1ubuntu2.22"),
            in_channel(Channel::FipsUpdates, fixed(release, "openssl", "1.1.1f-1ubuntu2.fips.22")),
        ],
    )]);
    let old = attached(
        server(&["libssl1.1 1.1.1f-1ubuntu2.fips.8 openssl 1.1.1f-1ubuntu2.fips.8"]),
        &["fips-updates"],
    );
    assert_eq!(compiled.verdicts(release, &old), ["CVE-2024-0001 openssl missing"]);
    let plain = server(&["libssl1.1 1.1.1f-1ubuntu2.22 openssl 1.1.1f-1ubuntu2.22"]);
    assert_eq!(compiled.verdicts(release, &plain), ["CVE-2024-0001 openssl fixed"]);
}

#[test]
fn ranges_have_a_beginning_and_an_end() {
    let range = |introduced: &'static str, end: &'static str| Statement {
        introduced: Some(introduced.into()),
        ..fixed(R, "nodejs", end)
    };
    let compiled =
        Compiled::of(vec![cve("CVE-2024-0001", vec![range("12", "12.5"), range("14", "14.2")])]);
    for (version, verdict) in [
        ("11", "not-affected"),
        ("12", "missing"),
        ("12.5", "fixed"),
        ("13", "fixed"),
        ("14.1", "missing"),
        ("14.2", "fixed"),
    ] {
        let got = compiled.verdicts(R, &server(&[&format!("nodejs {version}")]));
        assert_eq!(got, [format!("CVE-2024-0001 nodejs {verdict}")], "{version}");
    }
    let last = Statement {
        last_affected: Some("2.0".into()),
        status: Status::Affected,
        fixed: None,
        ..fixed(R, "x", "0")
    };
    let compiled = Compiled::of(vec![cve("CVE-2024-0002", vec![last])]);
    assert_eq!(compiled.verdicts(R, &server(&["x 2.0"])), ["CVE-2024-0002 x no-fix"]);
    assert_eq!(compiled.verdicts(R, &server(&["x 2.1"])), ["CVE-2024-0002 x not-affected"]);
}

#[test]
fn one_build_is_not_two_because_of_its_epoch() {
    let compiled =
        Compiled::of(vec![cve("CVE-2024-0001", vec![fixed(R, "mplayer", "1:1.0~rc2-17+deb12u2")])]);
    assert_eq!(
        compiled.verdicts(R, &server(&["mplayer 1.0~rc2-17+deb12u2"])),
        ["CVE-2024-0001 mplayer fixed"]
    );
    assert_eq!(
        compiled.verdicts(R, &server(&["mplayer 1.0~rc2-17+deb12u1"])),
        ["CVE-2024-0001 mplayer missing"]
    );
}

#[test]
fn a_half_upgraded_source_is_still_missing_its_patch() {
    let compiled = Compiled::of(vec![cve("CVE-2024-0001", vec![fixed(R, "curl", "8.0-2")])]);
    let facts = server(&["curl 8.0-2", "libcurl4 8.0-1 curl"]);
    let findings = compiled.findings(R, &facts);
    assert_eq!(findings.len(), 1);
    assert_eq!(findings[0].verdict, MISSING);
    assert_eq!(
        about(&findings[0]).patch.packages.iter().map(|p| &*p.name).collect::<Vec<_>>(),
        ["libcurl4"]
    );
}

#[test]
fn a_withdrawn_record_says_nothing_and_stays() {
    let mut record = cve("CVE-2024-0001", vec![fixed(R, "curl", "8.0-2")]);
    record.withdrawn = Some("2024-05-01T00:00:00Z".parse().unwrap());
    let compiled =
        Compiled::of(vec![record, cve("CVE-2024-0002", vec![fixed(R, "curl", "8.0-2")])]);
    assert_eq!(compiled.verdicts(R, &server(&["curl 8.0-1"])), ["CVE-2024-0002 curl missing"]);
    let mut found = 0;
    compiled
        .open()
        .records("cve-2024-0001", &mut |feed, record| {
            assert_eq!((feed, record.withdrawn.is_some()), ("test", true));
            found += 1;
        })
        .unwrap();
    assert_eq!(found, 1);
}

#[test]
fn of_two_records_the_one_with_a_fix_counts_and_both_are_kept() {
    let mut newer = cve("CVE-2024-0001", vec![unfixed(R, "curl", Status::Needed, "needed")]);
    newer.modified = Some("2026-01-01T00:00:00Z".parse().unwrap());
    let mut older = cve("CVE-2024-0001", vec![fixed(R, "curl", "8.0-2")]);
    older.id = "OTHER-CVE-2024-0001".into();
    let compiled = Compiled::of(vec![newer, older]);
    assert_eq!(compiled.verdicts(R, &server(&["curl 8.0-1"])), ["CVE-2024-0001 curl missing"]);
    let mut kept = 0;
    compiled.open().records("CVE-2024-0001", &mut |_, _| kept += 1).unwrap();
    assert_eq!(kept, 2);
}

#[test]
fn exploitation_and_likelihood_reach_the_finding() {
    let added = Date::constant(2024, 2, 1);
    let compiled = Compiled::of_items(vec![
        Item::Record(notice(
            "DSA-1-1",
            &["CVE-2024-0001", "CVE-2024-0002"],
            vec![fixed(R, "curl", "8.0-2")],
        )),
        Item::Exploited(Exploited {
            cve: "CVE-2024-0002".into(),
            added,
            due: None,
            ransomware: false,
            title: "x".into(),
        }),
        Item::Likelihood(Likelihood { cve: "CVE-2024-0001".into(), score: 0.25, percentile: None }),
    ]);
    let findings = compiled.findings(R, &server(&["curl 8.0-1"]));
    assert_eq!(about(&findings[0]).exploited, Some((added, None)));
    assert_eq!(about(&findings[0]).likelihood, Some(0.25));
}

#[test]
fn a_module_stream_is_a_product_of_its_own() {
    let release = "almalinux:8";
    let stream = |module: &'static str, version: &'static str| Statement {
        by: By::Binary,
        module: Some(module.into()),
        ..fixed(release, "nodejs", version)
    };
    let compiled = Compiled::of(vec![
        notice("ALSA-1", &["CVE-2024-0001"], vec![stream("nodejs:16", "1:16.20.0-1.module_el8")]),
        notice("ALSA-2", &["CVE-2024-0001"], vec![stream("nodejs:18", "1:18.20.0-1.module_el8")]),
        notice(
            "ALSA-3",
            &["CVE-2024-0002"],
            vec![Statement { by: By::Binary, ..fixed(release, "nodejs", "1:99-1.el8") }],
        ),
    ]);
    let bytes = compiled.open().release(release).unwrap().unwrap();
    let section = Section::new(&bytes).unwrap();
    let mut facts = server(&["nodejs 1:16.19.0-1.module_el8 nodejs"]);
    facts.packages[0].module = Some("nodejs:16:8060020220523160029:ad008a3a".into());
    let ids: Vec<_> = matching::judge(&section, Database::Rpm, &facts, false)
        .findings
        .into_iter()
        .map(|f| f.id.to_string())
        .collect();
    assert_eq!(ids, ["ALSA-1"]);
    for (label, told) in [
        ("nodejs:16:8060020220523160029:ad008a3a", None),
        ("nodejs:16", None),
        ("nodejs:22:1:a", Some("module nodejs:22")),
        (":::", Some("nodejs 1:16.19.0-1.module_el8")),
        ("nodejs", Some("nodejs 1:16.19.0-1.module_el8")),
    ] {
        facts.packages[0].module = Some(label.into());
        let obstacles = matching::judge(&section, Database::Rpm, &facts, false).obstacles;
        let what: Vec<&str> = obstacles.iter().map(|o| o.what.as_str()).collect();
        assert_eq!(what, Vec::from_iter(told), "{label}: {obstacles:?}");
    }
}

#[test]
fn a_version_that_dpkg_refuses_is_neither_mended_nor_missing() {
    let release = "debian:12";
    let compiled =
        Compiled::of(vec![cve("CVE-2024-0001", vec![fixed(release, "curl", "7.88.1-5")])]);
    for version in ["_9.0", "99999999999999:9.0", "not-9.0"] {
        let facts = server(&[&format!("curl {version}")]);
        assert_eq!(compiled.verdicts(release, &facts), [""; 0], "{version}");
    }
    assert_eq!(
        compiled.verdicts(release, &server(&["curl 7.88.1-4"])),
        ["CVE-2024-0001 curl missing"]
    );
}
