//! Web applications and packages of languages: which flaws a copy has, which version mends them, what is said of it.

use muster_core::advisory::{Exploited, Item, Likelihood, Record, Statement, SupportLine};
use muster_core::application::{LanguagePackage, WebApplication};
use muster_core::fact::Facts;
use muster_core::finding::{About, ApplicationFinding, Finding};
use muster_core::time::Date;
use muster_core::verdict::Verdict;
use muster_match::matching::{Matched, applications};
use muster_version::Scheme;
use proptest::prelude::*;

use super::{Compiled, cve};

const TODAY: Date = Date::constant(2026, 11, 23);

/// `[introduced, fixed)` of a package.
fn range(
    release: &'static str,
    package: &'static str,
    introduced: &str,
    fixed: Option<&str>,
) -> Statement<'static> {
    Statement {
        release: release.into(),
        package: package.into(),
        introduced: (!introduced.is_empty()).then(|| introduced.to_owned().into()),
        fixed: fixed.map(|f| f.to_owned().into()),
        ..Statement::default()
    }
}

fn wiki(introduced: &str, fixed: &str) -> Statement<'static> {
    range("packagist", "mediawiki/core", introduced, Some(fixed))
}

fn line(version: &'static str, ends: Option<Date>, latest: &'static str) -> Item<'static> {
    Item::Support(SupportLine {
        product: "mediawiki".into(),
        version: version.into(),
        codename: None,
        released: Some(Date::constant(2022, 1, 1)),
        ends,
        paid_until: None,
        ended: false,
        latest: Some(latest.into()),
    })
}

fn calendar() -> Vec<Item<'static>> {
    vec![
        line("1.35", Some(Date::constant(2023, 12, 21)), "1.35.14"),
        line("1.39", Some(Date::constant(2025, 12, 31)), "1.39.17"),
        line("1.43", Some(Date::constant(2027, 12, 31)), "1.43.9"),
        line("1.46", Some(Date::constant(2027, 7, 31)), "1.46.0"),
    ]
}

fn copy(product: &str, version: Option<&str>, path: &str) -> WebApplication {
    WebApplication {
        product: product.into(),
        version: version.map(str::to_owned),
        path: path.into(),
        evidence: format!("{path}/version"),
        ..WebApplication::default()
    }
}

fn judge(items: Vec<Item<'static>>, applications: Vec<WebApplication>, all: bool) -> Matched {
    let compiled = Compiled::of_items(items);
    let facts = Facts { applications, ..Facts::default() };
    applications::judge(Some(&compiled.open()), &facts, TODAY, all).unwrap()
}

fn records(records: Vec<Record<'static>>) -> Vec<Item<'static>> {
    records.into_iter().map(Item::Record).collect()
}

fn of(finding: &Finding) -> &ApplicationFinding {
    let About::WebApplication(about) = &finding.about else { panic!("{finding:?}") };
    about
}

/// Two flaws, each mended in every branch, a third in the newest branch only.
fn branched() -> Vec<Item<'static>> {
    let mut items = records(vec![
        cve("CVE-2022-0001", vec![wiki("1.35.0", "1.35.6"), wiki("1.39.0", "1.39.2")]),
        cve(
            "CVE-2023-0002",
            vec![wiki("1.35.0", "1.35.9"), wiki("1.39.0", "1.39.4"), wiki("1.43.0", "1.43.1")],
        ),
        cve("CVE-2024-0003", vec![wiki("1.35.0", "1.39.6")]),
    ]);
    items.extend(calendar());
    items
}

#[test]
fn the_fix_is_the_oldest_of_the_own_branch_that_mends_all() {
    for (version, cves, fixed, verdict) in [
        (
            "1.39.1",
            &["CVE-2024-0003", "CVE-2023-0002", "CVE-2022-0001"][..],
            Some("1.39.6"),
            Verdict::Missing,
        ),
        ("1.39.4", &["CVE-2024-0003"], Some("1.39.6"), Verdict::Missing),
        // Its own branch never got the third fix: the next supported one has it.
        ("1.35.9", &["CVE-2024-0003"], Some("1.43.1"), Verdict::Missing),
        ("1.43.0", &["CVE-2023-0002"], Some("1.43.1"), Verdict::Missing),
        // Nothing is known against it, and nobody mends its branch.
        ("1.39.6", &[], None, Verdict::EndOfSupport),
        ("1.31.0", &[], None, Verdict::EndOfSupport),
    ] {
        let matched = judge(branched(), vec![copy("mediawiki", Some(version), "/srv/wiki")], false);
        assert_eq!(matched.findings.len(), 1, "{version}");
        let finding = &matched.findings[0];
        assert_eq!(&*finding.id, "web-application:mediawiki:/srv/wiki");
        assert_eq!(finding.verdict, verdict, "{version}");
        assert_eq!(of(finding).cves, cves, "{version}");
        assert_eq!(of(finding).fixed.as_deref(), fixed, "{version}");
        assert!(matched.obstacles.is_empty(), "{:?}", matched.obstacles);
    }
    let clean = judge(branched(), vec![copy("mediawiki", Some("1.43.1"), "/srv/wiki")], false);
    assert!(clean.findings.is_empty() && clean.obstacles.is_empty(), "{clean:?}");
}

#[test]
fn the_action_names_the_version_and_where_it_comes_from() {
    let action = |version: &str, kind: Option<&str>, served: Option<&str>| {
        let copy = WebApplication {
            copy: kind.map(str::to_owned),
            served_by: served.map(str::to_owned),
            ..copy("mediawiki", Some(version), "/srv/wiki")
        };
        let matched = judge(branched(), vec![copy], false);
        matched.findings[0].action.to_string()
    };
    assert_eq!(
        action("1.43.0", None, Some("/etc/x")),
        "update MediaWiki at /srv/wiki to 1.43.9 (upstream's newest of its branch) or remove it"
    );
    assert_eq!(
        action("1.39.1", None, None),
        "update MediaWiki at /srv/wiki to 1.43.9 (upstream's newest of the branch 1.43) or remove it"
    );
    assert_eq!(
        action("1.39.1", Some("backup"), None),
        "if nobody needs /srv/wiki, remove it; else update MediaWiki at /srv/wiki to 1.43.9 (upstream's newest of the branch 1.43)"
    );
    assert!(
        action("1.39.1", Some("backup"), Some("/etc/x"))
            .starts_with("if nobody needs /srv/wiki, remove it or take it out of the web server's reach; else update ")
    );
    assert_eq!(
        action("master", Some("abandoned"), None),
        "if nobody needs /srv/wiki, remove it; else see at upstream whether master is mended"
    );
}

#[test]
fn a_copy_that_is_packaged_is_judged_by_its_package() {
    let packaged = WebApplication {
        owner_package: Some("mediawiki".into()),
        ..copy("mediawiki", Some("1.35.1"), "/usr/share/mediawiki")
    };
    let silent = judge(branched(), vec![packaged.clone()], false);
    assert!(silent.findings.is_empty() && silent.obstacles.is_empty(), "{silent:?}");
    let told = judge(branched(), vec![packaged], true);
    assert_eq!(told.findings[0].verdict, Verdict::NotAffected);
    assert_eq!(of(&told.findings[0]).ended, None);
    assert!(told.findings[0].title.contains("judged as the package mediawiki"));
}

#[test]
fn what_cannot_be_told_is_unknown() {
    for version in [None, Some("master"), Some("1.39.1.2.3.4.5"), Some("latest")] {
        let matched = judge(branched(), vec![copy("mediawiki", version, "/srv/wiki")], false);
        assert_eq!(matched.findings[0].verdict, Verdict::Unknown, "{version:?}");
        assert!(matched.findings[0].verdict.is_owed(false));
    }
    // No advisory speaks of the product: once a product, not silence.
    let copies = vec![
        copy("dokuwiki", Some("2024-02-06"), "/srv/a"),
        copy("dokuwiki", Some("2024-02-06"), "/srv/b"),
    ];
    let matched = judge(branched(), copies, false);
    assert!(matched.findings.is_empty());
    assert_eq!(matched.obstacles.len(), 1, "{:?}", matched.obstacles);
    assert_eq!(matched.obstacles[0].what, "web application DokuWiki");
}

#[test]
fn without_a_file_versions_are_listed_and_not_cleared() {
    let facts = Facts {
        applications: vec![
            copy("mediawiki", Some("1.39.1"), "/srv/wiki"),
            copy("wordpress", None, "/srv/blog"),
        ],
        ..Facts::default()
    };
    let matched = applications::judge(None, &facts, TODAY, true).unwrap();
    assert!(matched.findings.iter().all(|f| f.verdict == Verdict::Unknown), "{matched:?}");
    assert_eq!(matched.findings.len(), 2);
}

#[test]
fn several_sources_name_one_flaw_once() {
    let mut items = records(vec![
        cve("CVE-2024-0003", vec![wiki("1.43.0", "1.43.2")]),
        Record {
            id: "CVE-2024-0003".into(),
            cves: vec!["CVE-2024-0003".into()],
            statements: vec![range("cpe", "mediawiki:mediawiki", "1.43.0", Some("1.43.3"))],
            ..Record::default()
        },
        // A record that stands for the package names no flaw beside those that are named.
        Record {
            id: "conflicts:mediawiki/core".into(),
            statements: vec![wiki("1.43.0", "1.43.4")],
            ..Record::default()
        },
    ]);
    items.extend(calendar());
    items.push(Item::Exploited(Exploited {
        cve: "CVE-2024-0003".into(),
        added: Date::constant(2026, 1, 2),
        due: None,
        ransomware: false,
        title: "".into(),
    }));
    items.push(Item::Likelihood(Likelihood {
        cve: "CVE-2024-0003".into(),
        score: 0.5,
        percentile: None,
    }));
    let matched = judge(items.clone(), vec![copy("mediawiki", Some("1.43.1"), "/srv/wiki")], false);
    let about = of(&matched.findings[0]);
    assert_eq!(about.cves, ["CVE-2024-0003"]);
    assert_eq!(about.fixed.as_deref(), Some("1.43.4"));
    assert_eq!(about.signals.exploited, Some((Date::constant(2026, 1, 2), None)));
    assert_eq!(about.signals.likelihood, Some(0.5));
    let alone = judge(items, vec![copy("mediawiki", Some("1.43.3"), "/srv/wiki")], false);
    assert_eq!(of(&alone.findings[0]).cves, ["conflicts:mediawiki/core"]);
}

#[test]
fn a_name_of_cpe_that_nobody_asks_for_is_not_compiled() {
    let items =
        records(vec![cve("CVE-2024-0009", vec![range("cpe", "acme:router", "", Some("2.0"))])]);
    let compiled = Compiled::of_items(items);
    assert!(compiled.open().release("cpe").unwrap().is_none());
    let mut found = 0;
    compiled.open().records("CVE-2024-0009", &mut |_, _| found += 1).unwrap();
    assert_eq!(found, 1, "the record itself stays");
}

#[test]
fn packages_of_languages_are_judged_by_their_ecosystem() {
    let facts = |version: &str, owner: Option<&str>| Facts {
        languages: vec![
            LanguagePackage {
                ecosystem: "pypi".into(),
                name: "django".into(),
                version: version.into(),
                path: "/opt/venv/lib/django.dist-info".into(),
                owner_package: owner.map(str::to_owned),
            },
            LanguagePackage {
                ecosystem: "rubygems".into(),
                name: "rack".into(),
                version: "1.0".into(),
                path: "/opt/gems/rack".into(),
                owner_package: None,
            },
        ],
        ..Facts::default()
    };
    let items = records(vec![cve(
        "CVE-2021-0001",
        vec![
            range("pypi", "django", "2.2", Some("2.2.24")),
            range("pypi", "django", "3.2a1", Some("3.2.4")),
        ],
    )]);
    let compiled = Compiled::of_items(items);
    let judge = |version, owner| {
        applications::judge(Some(&compiled.open()), &facts(version, owner), TODAY, false).unwrap()
    };
    for (version, fixed) in
        [("2.2.23", Some("2.2.24")), ("3.2rc1", Some("3.2.4")), ("3.2.4", None), ("3.1", None)]
    {
        let matched = judge(version, None);
        let found = matched.findings.first().map(|finding| match &finding.about {
            About::LanguagePackage(l) => (finding.verdict, l.fixed.clone().unwrap_or_default()),
            _ => panic!("{finding:?}"),
        });
        assert_eq!(found, fixed.map(|f| (Verdict::Missing, f.to_owned())), "{version}");
        assert_eq!(matched.obstacles.len(), 1, "nothing speaks of rubygems");
    }
    assert!(judge("2.2.1", Some("python3-django")).findings.is_empty());
    assert_eq!(judge("not.a.version", None).findings[0].verdict, Verdict::Unknown);
}

/// A flaw in some branches of a product: each from its first release, mended in a later one, or in none.
fn flaw() -> impl Strategy<Value = Vec<(u8, Option<u8>)>> {
    proptest::collection::vec((0_u8..5, proptest::option::weighted(0.8, 1_u8..9)), 1..5)
}

fn statements(flaw: &[(u8, Option<u8>)]) -> Vec<Statement<'static>> {
    flaw.iter()
        .map(|(branch, fixed)| {
            let fixed = fixed.map(|patch| format!("1.{branch}.{patch}"));
            // Without a fix the branch stays open to its end.
            let mut statement =
                range("packagist", "mediawiki/core", &format!("1.{branch}.0"), fixed.as_deref());
            if fixed.is_none() {
                statement.last_affected = Some(format!("1.{branch}.99").into());
            }
            statement
        })
        .collect()
}

fn flaws() -> impl Strategy<Value = Vec<Record<'static>>> {
    proptest::collection::vec(flaw(), 1..6).prop_map(|flaws| {
        flaws
            .iter()
            .enumerate()
            .map(|(n, flaw)| {
                let id = format!("CVE-2024-{:04}", n + 1);
                Record {
                    id: id.clone().into(),
                    cves: vec![id.into()],
                    statements: statements(flaw),
                    ..Record::default()
                }
            })
            .collect()
    })
}

fn outcome(records: &[Record<'static>], version: &str) -> Option<(Vec<String>, Option<String>)> {
    let items = records.iter().cloned().map(Item::Record).collect();
    let matched = judge(items, vec![copy("mediawiki", Some(version), "/srv/wiki")], false);
    let about = matched.findings.first().map(of)?;
    Some((about.cves.clone(), about.fixed.clone()))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn the_order_of_the_records_does_not_matter(records in flaws(), branch in 0_u8..5, patch in 0_u8..10) {
        let version = format!("1.{branch}.{patch}");
        let mut reversed = records.clone();
        reversed.reverse();
        prop_assert_eq!(outcome(&records, &version), outcome(&reversed, &version));
    }

    #[test]
    fn a_newer_version_of_a_branch_has_no_more_flaws(records in flaws(), branch in 0_u8..5, patch in 0_u8..9) {
        // Every flaw of this world is in a branch from its first release on.
        let open = |patch: u8| {
            outcome(&records, &format!("1.{branch}.{patch}")).map_or(Vec::new(), |(cves, _)| cves)
        };
        let (older, newer) = (open(patch), open(patch + 1));
        prop_assert!(newer.iter().all(|id| older.contains(id)), "{older:?} {newer:?}");
    }

    #[test]
    fn the_fix_is_newer_and_has_nothing_open_that_a_later_one_mends(records in flaws(), branch in 0_u8..5, patch in 0_u8..9) {
        let version = format!("1.{branch}.{patch}");
        let Some((open, Some(fixed))) = outcome(&records, &version) else { return Ok(()) };
        let order = Scheme::Composer;
        prop_assert!(order.compare_lenient(&fixed, &version).is_gt());
        prop_assert!(!open.is_empty());
        if let Some((_, Some(better))) = outcome(&records, &fixed) {
            prop_assert!(false, "{fixed} is to be replaced by {better}");
        }
        // If the own branch has a fix for all, the fix is of the own branch.
        let own = format!("1.{branch}.");
        let whole = (patch + 1..=9).map(|p| format!("{own}{p}")).any(|v| outcome(&records, &v).is_none());
        prop_assert!(!whole || fixed.starts_with(&own), "{fixed}");
    }
}
