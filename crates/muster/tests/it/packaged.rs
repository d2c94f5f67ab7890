//! Web applications as Debian packages them, and as PyPI has them: each is found with its version and its owner, and none
//! that a package brought is called old by upstream's numbers.
//!
//! The packages come from the archives that this machine is set up for. Where apt cannot bring them, nothing is run.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::feeds::osv;
use crate::runs::{Folder, NOW, not_run, run};

/// Packages of Debian 12, and what is found of each: product, folder.
const PACKAGED: [(&str, &str, &str); 15] = [
    ("adminer", "adminer", "/usr/share/adminer"),
    ("cacti", "cacti", "/usr/share/cacti/site"),
    ("dokuwiki", "dokuwiki", "/usr/share/dokuwiki"),
    ("icingaweb2-common", "", ""),
    ("mailman3", "mailman", "/usr/lib/python3/dist-packages/mailman"),
    ("mediawiki", "mediawiki", "/usr/share/mediawiki"),
    ("nagios4-cgi", "nagios", "/usr/share/nagios4/htdocs"),
    ("phpldapadmin", "phpldapadmin", "/usr/share/phpldapadmin"),
    ("phpmyadmin", "phpmyadmin", "/usr/share/phpmyadmin"),
    ("redmine", "redmine", "/usr/share/redmine"),
    ("roundcube-core", "roundcube", "/usr/share/roundcube"),
    ("shaarli", "shaarli", "/usr/share/shaarli"),
    ("simplesamlphp", "simplesamlphp", "/usr/share/simplesamlphp"),
    ("wordpress", "wordpress", "/usr/share/wordpress"),
    ("zabbix-frontend-php", "zabbix", "/usr/share/zabbix"),
];
/// Further ones that the catalogue does not know: nothing in them is taken for what it is not.
const OTHERS: [&str; 8] = [
    "davical",
    "ganglia-webfrontend",
    "gosa",
    "nagios4-common",
    "php-horde-imp",
    "phpsysinfo",
    "postfixadmin",
    "tt-rss",
];

fn shell(folder: &Path, line: &str) -> Option<String> {
    let ran = Command::new("sh").arg("-c").arg(line).current_dir(folder).output().ok()?;
    let text = String::from_utf8_lossy(&ran.stdout).into_owned();
    if ran.status.success() { Some(text) } else { None }
}

/// Lays out a server with these packages, as dpkg would without running anything of theirs.
fn server(names: &[&str]) -> Option<Folder> {
    let folder = Folder::new();
    let at = folder.path().to_owned();
    let list = names.join(" ");
    shell(
        &at,
        &format!(
            "mkdir -p debs root/etc root/var/lib/dpkg/info && cd debs && chmod 777 . && apt-get download -qq {list}"
        ),
    )?;
    shell(
        &at,
        "set -e; cp /etc/os-release root/etc/; for d in debs/*.deb; do dpkg-deb -x $d root; \
         n=$(dpkg-deb -f $d Package); { dpkg-deb -f $d Package Version Architecture Source Maintainer; \
         printf 'Status: install ok installed\\nDescription: x\\n\\n'; } >> root/var/lib/dpkg/status; \
         dpkg-deb --fsys-tarfile $d | tar t | sed 's#^\\.##; s#/$##; s#^$#/.#' > root/var/lib/dpkg/info/$n.list; done",
    )?;
    Some(folder)
}

/// Versions that no upstream has reached: whatever lies here is older.
fn advisories(folder: &Folder) -> String {
    let mut feed = String::new();
    for name in [
        "mediawiki/core",
        "phpmyadmin/phpmyadmin",
        "roundcube/roundcubemail",
        "shaarli/shaarli",
        "simplesamlphp/simplesamlphp",
    ] {
        feed += &osv(
            &format!("TEST-{}", name.replace('/', "-")),
            "Packagist",
            name,
            Some("999.0.0"),
            "2026-01-01T00:00:00Z",
        );
    }
    folder.write("web.ndjson", feed);
    let file = folder.text("web.adv");
    run(&["feed", "build", "-o", &file, &folder.text("web.ndjson")]).is(0);
    file
}

#[test]
fn what_debian_packages_is_found_and_not_called_old() {
    let names: Vec<&str> = PACKAGED.iter().map(|(name, ..)| *name).chain(OTHERS).collect();
    let Some(folder) = server(&names) else {
        return not_run("packages of Debian 12, by apt-get download");
    };
    let file = advisories(&folder);
    let root = folder.text("root");
    let ask = |more: &[&str]| -> Value {
        let mut words =
            vec!["inspect", &root, "--advisories", &file, "--now", NOW, "--format", "json"];
        words.extend(more);
        run(&words).is(1).json()
    };
    let of_kind = |answer: &Value| -> Vec<Value> {
        let findings = answer["findings"].as_array().unwrap().clone();
        findings
            .into_iter()
            .filter(|f| f["kind"] == "web-application" || f["kind"] == "language-package")
            .collect()
    };
    let all = of_kind(&ask(&["--all"]));
    for (package, product, path) in PACKAGED.iter().filter(|(_, product, _)| !product.is_empty()) {
        let found = all.iter().find(|f| f["product"] == *product && f["path"] == *path);
        let found =
            found.unwrap_or_else(|| panic!("{product} of {package} is not at {path}: {all:#?}"));
        assert_eq!(found["owner_package"], *package, "{found:#}");
        // Debian's version begins with upstream's.
        let installed = shell(
            Path::new(&root),
            &format!("sed -n '/^Package: {package}$/,/^$/s/^Version: //p' var/lib/dpkg/status"),
        )
        .unwrap();
        let plain =
            |text: &str| -> String { text.chars().filter(char::is_ascii_alphanumeric).collect() };
        let installed =
            installed.trim().rsplit(':').next().unwrap().trim_start_matches("0.0.").to_owned();
        let version = found["version"].as_str().unwrap_or_else(|| panic!("{found:#}"));
        // Upstream named a hotfix by another letter than Debian did.
        let version =
            version.trim_end_matches(|c: char| *product == "dokuwiki" && c.is_alphabetic());
        assert!(plain(&installed).starts_with(&plain(version)), "{version} of {installed}");
    }
    let products: BTreeSet<&str> = all
        .iter()
        .filter(|f| f["part_of"].is_null())
        .filter_map(|f| f["product"].as_str())
        .collect();
    let known: BTreeSet<&str> =
        PACKAGED.iter().map(|(_, product, _)| *product).filter(|p| !p.is_empty()).collect();
    assert_eq!(products, known, "something is taken for what it is not");
    // On a clean server of 23 packaged applications nothing is owed by upstream's numbers.
    let owed = of_kind(&ask(&[]));
    assert!(owed.is_empty(), "{owed:#?}");

    // The same tree without its packages is judged by upstream.
    std::fs::write(Path::new(&root).join("var/lib/dpkg/info/mediawiki.list"), "").unwrap();
    let owed = of_kind(&ask(&[]));
    assert!(
        owed.iter().any(|f| f["product"] == "mediawiki" && f["verdict"] == "missing"),
        "{owed:#?}"
    );
}

#[test]
fn what_pypi_has_is_found() {
    let folder = Folder::new();
    let at = folder.path().to_owned();
    let target = "root/srv/moin/lib/python3.11/site-packages";
    let brought = shell(
        &at,
        &format!(
            "mkdir -p root/etc {target} && cp /etc/os-release root/etc/ && python3 -m pip install --quiet --no-deps --target {target} 'moin==2.0.0b4' 'Trac==1.6' 2>&1"
        ),
    );
    if brought.is_none() {
        return not_run("python3-pip and PyPI");
    }
    let root = folder.text("root");
    let mut feed = osv("PYSEC-1", "PyPI", "moin", Some("999.0"), "2026-01-01T00:00:00Z");
    feed += &osv("PYSEC-2", "PyPI", "trac", Some("999.0"), "2026-01-01T00:00:00Z");
    folder.write("pypi.ndjson", feed);
    let file = folder.text("pypi.adv");
    run(&["feed", "build", "-o", &file, &folder.text("pypi.ndjson")]).is(0);
    let words = ["inspect", &root, "--advisories", &file, "--now", NOW, "--format", "json"];
    let answer = run(&words).is(1).json();
    let findings = answer["findings"].as_array().unwrap();
    for (name, version) in [("moin", "2.0.0b4"), ("trac", "1.6")] {
        let named: Vec<&Value> =
            findings.iter().filter(|f| f["name"] == name || f["product"] == name).collect();
        assert_eq!(named.len(), 1, "{name} is told once: {named:#?}");
        assert_eq!(
            (&named[0]["version"], &named[0]["verdict"]),
            (&version.into(), &"missing".into())
        );
        assert!(named[0]["path"].as_str().unwrap().starts_with("/srv/moin/"), "{named:#?}");
    }
}
