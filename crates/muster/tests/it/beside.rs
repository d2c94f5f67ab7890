//! What lies beside the packages: web applications, their parts and packages of languages, from the feeds to every format.

use serde_json::{Value, json};

use crate::feeds::{self, osv};
use crate::runs::{Folder, NOW, run};
use crate::servers;

const WIKI: &str = "/srv/www/wiki";
const BACKUP: &str = "/srv/www/wiki.old";
const BLOG: &str = "/srv/www/blog";

/// A Debian 12 whose packages are in order, with applications that nobody packaged.
fn server() -> Folder {
    let root = servers::debian();
    let version = |v: &str| format!("<?php\ndefine( 'MW_VERSION', '{v}' );\n");
    root.write("srv/www/wiki/includes/Defines.php", version("1.43.0"))
        .write("srv/www/wiki.old/includes/Defines.php", version("1.35.2"))
        .write("srv/www/blog/wp-includes/version.php", "<?php\n$wp_version = '6.4.2';\n")
        .write("srv/www/blog/wp-login.php", "<?php\n")
        .write("srv/www/blog/wp-settings.php", "<?php\n")
        .write("srv/www/blog/wp-load.php", "<?php\n")
        .write(
            "srv/www/blog/wp-content/plugins/own-forms/own-forms.php",
            "<?php\n/*\nPlugin Name: Own Forms\nVersion: 1.2.0\n*/\n",
        )
        .write(
            "opt/shop/lib/python3.11/site-packages/Own_Shop-2.0.dist-info/METADATA",
            "Metadata-Version: 2.1\nName: Own.Shop\nVersion: 2.0\n\nText\n",
        );
    root
}

fn cve(id: &str, affected: &Value) -> Value {
    json!({
        "dataType": "CVE_RECORD", "dataVersion": "5.1",
        "cveMetadata": { "cveId": id, "state": "PUBLISHED", "datePublished": "2026-10-01T00:00:00Z" },
        "containers": { "cna": { "affected": [affected], "metrics": [
            { "cvssV3_1": { "vectorString": "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H" } } ] } },
    })
}

/// The advisories: a flaw of two branches, one without a fix's branch, one of a plugin, one of a language.
fn file(folder: &Folder) -> String {
    let records = json!([
        cve(
            "CVE-2026-9101",
            &json!({ "vendor": "MediaWiki", "product": "MediaWiki", "versions": [
            { "version": ">= 1.35.0, < 1.35.9", "status": "affected" },
            { "version": ">= 1.43.0, < 1.43.2", "status": "affected" } ] })
        ),
        cve(
            "CVE-2026-9102",
            &json!({ "vendor": "WordPress Foundation", "product": "WordPress",
            "cpes": ["cpe:2.3:a:wordpress:wordpress:*:*:*:*:*:*:*:*"], "defaultStatus": "unaffected", "versions": [
            { "version": "6.4", "status": "affected", "lessThan": "6.4.3", "versionType": "semver" } ] })
        ),
        cve(
            "CVE-2026-9103",
            &json!({ "vendor": "Own", "product": "Own Forms", "packageName": "own-forms",
            "collectionURL": "https://wordpress.org/plugins", "versions": [
            { "version": "n/a", "status": "affected", "lessThanOrEqual": "1.2.9", "changes": [
              { "at": "1.3.0", "status": "unaffected" } ] } ] })
        ),
    ]);
    let calendar = json!({
        "mediawiki": { "releases": [
            { "releaseCycle": "1.43", "releaseDate": "2024-12-01", "eol": "2027-12-31", "latest": "1.43.9" },
            { "releaseCycle": "1.35", "releaseDate": "2020-09-25", "eol": "2023-12-21", "latest": "1.35.14" } ] },
    });
    folder
        .write("debian.osv.ndjson", feeds::debian())
        .write("cves.json", records.to_string())
        .write("calendar.json", calendar.to_string())
        .write(
            "pypi.osv.ndjson",
            osv("PYSEC-2026-9104", "PyPI", "own-shop", Some("2.1"), "2026-10-01T00:00:00Z"),
        )
        .write("kev.json", feeds::kev("CVE-2026-9102"))
        .write("epss.csv", feeds::epss("CVE-2026-9101", "0.25"));
    let out = folder.text("all.adv");
    let names = [
        "debian.osv.ndjson",
        "cves.json",
        "calendar.json",
        "pypi.osv.ndjson",
        "kev.json",
        "epss.csv",
    ];
    let paths = names.map(|n| folder.text(n));
    let mut arguments = vec!["feed", "build", "-o", &out];
    arguments.extend(paths.iter().map(String::as_str));
    run(&arguments).is(0);
    out
}

fn inspect(format: &str) -> crate::runs::Ran {
    let folder = Folder::new();
    let (root, file) = (server(), file(&folder));
    let root = root.text("");
    run(&["inspect", &root, "--now", NOW, "--advisories", &file, "--format", format]).is(1)
}

fn about<'a>(findings: &'a [Value], path: &str) -> &'a Value {
    let of = findings.iter().find(|f| f["path"] == path);
    of.unwrap_or_else(|| panic!("nothing is found of {path}: {findings:#?}"))
}

#[test]
fn what_no_package_manager_keeps_is_judged_by_upstream() {
    let answer = inspect("json").json();
    let findings = answer["findings"].as_array().unwrap();
    let wiki = about(findings, WIKI);
    assert_eq!(wiki["id"], format!("web-application:mediawiki:{WIKI}"));
    assert_eq!(wiki["verdict"], "missing");
    assert_eq!(wiki["severity"], "critical");
    assert_eq!(wiki["cves"], json!(["CVE-2026-9101"]));
    assert_eq!((&wiki["fixed"], &wiki["latest"]), (&json!("1.43.2"), &json!("1.43.9")));
    assert_eq!((&wiki["ended"], &wiki["epss"]), (&Value::Null, &json!(0.25)));
    let backup = about(findings, BACKUP);
    assert_eq!(backup["fixed"], "1.35.9", "its own branch has a fix");
    assert_eq!(backup["ended"], "2023-12-21", "and ended");
    let blog = about(findings, BLOG);
    assert_eq!(blog["kev"]["added"], "2026-11-02");
    assert_eq!(blog["published"], "2026-10-01");
    let plugin = findings.iter().find(|f| f["product"] == "own-forms").unwrap();
    assert_eq!((&plugin["part_of"], &plugin["part"]), (&json!("wordpress"), &json!("plugin")));
    assert_eq!((&plugin["verdict"], &plugin["fixed"]), (&json!("missing"), &json!("1.3.0")));
    let shop = findings.iter().find(|f| f["kind"] == "language-package").unwrap();
    assert_eq!((&shop["name"], &shop["fixed"]), (&json!("own-shop"), &json!("2.1")));
    let sentence = answer["sentence"].as_str().unwrap();
    assert!(
        sentence.contains("has 3 web applications that are out of date, 1 part of a web application that is out of date and 1 language package with known flaws"),
        "{sentence}"
    );
}

#[test]
fn every_format_shows_where_it_lies_and_what_to_go_to() {
    let sarif = inspect("sarif").json();
    let results = sarif["runs"][0]["results"].as_array().unwrap();
    let wiki = results.iter().find(|r| r["properties"]["path"] == WIKI).unwrap();
    let place = &wiki["locations"][0]["physicalLocation"]["artifactLocation"];
    assert_eq!(place["uri"], "srv/www/wiki");

    let bom = inspect("cyclonedx").json();
    let id = format!("web-application:mediawiki:{WIKI}");
    let component =
        bom["components"].as_array().unwrap().iter().find(|c| c["bom-ref"] == *id).unwrap();
    assert_eq!(component["type"], "application");
    assert_eq!(component["purl"], "pkg:composer/mediawiki/core@1.43.0");
    assert_eq!(component["cpe"], "cpe:2.3:a:mediawiki:mediawiki:1.43.0:*:*:*:*:*:*:*");
    let flaws = bom["vulnerabilities"].as_array().unwrap();
    assert!(flaws.iter().any(|v| v["id"] == "CVE-2026-9101" && v["affects"][0]["ref"] == *id));

    let vex = inspect("openvex").json();
    let statement = vex["statements"]
        .as_array()
        .unwrap()
        .iter()
        .find(|s| s["vulnerability"]["name"] == "CVE-2026-9104" && s["status"] == "affected");
    let product = &statement.unwrap()["products"][0];
    assert_eq!(product["identifiers"]["purl"], "pkg:pypi/own-shop@2.0");

    let csv = inspect("csv");
    let line = csv.text().lines().find(|l| l.contains(":/srv/www/blog,")).unwrap();
    let cells: Vec<&str> = line.split(',').collect();
    assert_eq!(cells[4..10], ["wordpress", "wordpress", "6.4.2", "6.4.3", "here", "CVE-2026-9102"]);
    assert_eq!(cells[10..12], ["2026-10-01", "2026-11-02"]);
}

#[test]
fn the_table_names_each_place_within_eighty_columns() {
    let table = inspect("table");
    let text = table.text();
    for line in text.lines() {
        assert!(line.chars().count() <= 80, "{line}");
    }
    let flowed = text.split_whitespace().collect::<Vec<_>>().join(" ");
    for words in [
        "EXPLOITED WordPress 6.4.2 at /srv/www/blog: 1 known flaw, fixed in 6.4.3",
        "do: update MediaWiki at /srv/www/wiki to 1.43.9 (upstream's newest of its branch) or remove it",
        "plugins of WordPress in /srv/www/blog/wp-content/plugins",
        "own-forms 1.2.0 -> 1.3.0 (1 known flaw)",
        "pypi packages in /opt/shop/lib/python3.11/site-packages",
        "own-shop 2.0 -> 2.1 (1 known flaw)",
    ] {
        assert!(flowed.contains(words), "{words:?} is not in\n{text}");
    }
}

#[test]
fn the_owner_of_a_site_is_told_what_was_asked_and_what_to_type() {
    let folder = Folder::new();
    let (root, file) = (server(), file(&folder));
    let root = root.text("");
    let ask = |what: &str| {
        let page = run(&["explain", what, &root, "--now", NOW, "--advisories", &file])
            .is(1)
            .text()
            .to_owned();
        (page.split_whitespace().collect::<Vec<_>>().join(" "), page)
    };
    let (words, page) = ask("CVE-2026-9102");
    for said in [
        "Since when The first of its flaws was published on 2026-10-01",
        "It is being exploited. CISA added it to its catalogue of known exploited vulnerabilities on 2026-11-02",
        "CVE-2026-9102: critical (CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H), by the record CVE-2026-9102 of the feed cve-v5",
    ] {
        assert!(words.contains(said), "{said}: {page}");
    }
    for line in [
        "      tar -C / -czf /root/before-update.tar.gz -- srv/www/blog".to_owned(),
        format!("      muster inspect {root} --advisories {file}"),
    ] {
        assert!(page.lines().any(|l| l == line), "{line}: {page}");
    }
    assert!(
        page.contains(" -- wp core update '--version=6.4.3' '--path=/srv/www/blog'\n"),
        "{page}"
    );
    let (words, page) = ask("CVE-2026-9101");
    assert!(words.contains("25.0 % to be exploited within 30 days, by FIRST's EPSS"), "{page}");
    let (_, page) = ask("own-forms");
    assert!(page.contains(" -- wp plugin update own-forms '--version=1.3.0' "), "{page}");
}

#[test]
fn without_an_advisory_file_what_was_found_is_told() {
    let root = server();
    let ran = run(&["inspect", &root.text(""), "--now", NOW, "--format", "json"]).is(1);
    let answer = ran.json();
    let unknown = answer["unknown"].as_array().unwrap();
    let told = unknown.iter().find(|u| u["what"] == "3 web applications").unwrap();
    let why = told["why"].as_str().unwrap();
    assert!(why.contains("MediaWiki 1.43.0 at /srv/www/wiki"), "{why}");
    let seen = answer["seen"]["web"]["applications"].as_array().unwrap();
    assert!(seen.iter().any(|a| a["path"] == BLOG && a["version"] == "6.4.2"), "{seen:#?}");
    assert_eq!(seen.len(), 4, "{seen:#?}");
}
