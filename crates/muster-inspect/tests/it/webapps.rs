//! Every web application of the catalogue is recognised in the layouts that upstream gave it, with its version and its
//! parts, and not in a decoy. A directory and a tar of it say the same.
//!
//! `fixtures/webapps/PRODUCT/VERSION/` is a tree, `VERSION.parts` beside it lists its parts: kind, slug, version. `VERSION.at` names where in
//! the tree it lies, if not at the top.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use muster_core::application::WebApplication;
use muster_core::fact::Facts;

use crate::{Test, facts_of, file_of, repository, tar_of};

pub(crate) const TESTS: &[Test] = &[
    (
        "every_application_is_recognised_in_each_of_its_layouts",
        every_application_is_recognised_in_each_of_its_layouts,
    ),
    ("a_war_tells_its_version_by_its_manifest", a_war_tells_its_version_by_its_manifest),
    ("one_installation_is_told_once", one_installation_is_told_once),
    ("parts_are_found_apart_from_their_application", parts_are_found_apart_from_their_application),
    (
        "what_cannot_be_read_to_its_end_is_told_and_not_passed_over",
        what_cannot_be_read_to_its_end_is_told_and_not_passed_over,
    ),
    ("hostile_trees_cost_nothing_but_themselves", hostile_trees_cost_nothing_but_themselves),
];

fn names(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).unwrap();
    let mut names: Vec<String> =
        entries.map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for name in names(from) {
        let (from, to) = (from.join(&name), to.join(&name));
        if from.is_dir() {
            copy(&from, &to);
        } else {
            std::fs::copy(from, to).unwrap();
        }
    }
}

fn told(applications: &[WebApplication]) -> BTreeSet<String> {
    applications
        .iter()
        .map(|a| {
            let version = a.version.as_deref().unwrap_or("-");
            match (&a.part_of, &a.part) {
                (Some(_), Some(part)) => format!("{part} {} {version}", a.product),
                _ => format!("{} {version} {}", a.product, a.path),
            }
        })
        .collect()
}

fn facts_of_tar(root: &Path) -> Facts {
    let tar = file_of(&tar_of(root)).into_temp_path();
    facts_of(&tar)
}

/// A server with one tree below `/srv/www/site`.
fn server(tree: &Path) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().to_owned();
    std::fs::create_dir_all(root.join("etc")).unwrap();
    std::fs::write(root.join("etc/os-release"), "ID=debian\nVERSION_ID=12\n").unwrap();
    copy(tree, &root.join("srv/www/site"));
    (folder, root)
}

fn every_application_is_recognised_in_each_of_its_layouts() {
    let catalogue = names(&repository().join("catalog/webapps"));
    let mut wrong = Vec::new();
    let (mut trees, mut decoys) = (0, 0);
    for file in &catalogue {
        let product = file.strip_suffix(".toml").unwrap();
        let fixtures = repository().join("fixtures/webapps").join(product);
        if !fixtures.is_dir() {
            // A zip is no tree of texts: it has a test of its own.
            assert_eq!(product, "jenkins", "{product} has no fixture");
            continue;
        }
        for version in names(&fixtures) {
            let tree = fixtures.join(&version);
            if !tree.is_dir() {
                continue;
            }
            let mut expected = BTreeSet::new();
            if version == "decoy" {
                decoys += 1;
            } else {
                trees += 1;
                let shown = if version == "unknown" { "-" } else { &version };
                let at = fixtures.join(format!("{version}.at"));
                let at = std::fs::read_to_string(at).unwrap_or_default();
                let path = format!("/srv/www/site/{}", at.trim());
                expected.insert(format!("{product} {shown} {}", path.trim_end_matches('/')));
                let parts = fixtures.join(format!("{version}.parts"));
                let parts = std::fs::read_to_string(parts).unwrap_or_default();
                expected.extend(parts.lines().map(str::to_owned));
            }
            let (_folder, root) = server(&tree);
            let facts = facts_of(&root);
            let found = told(&facts.applications);
            if found != expected {
                wrong.push(format!("{product}/{version}: {found:?}, not {expected:?}"));
            }
            assert_eq!(facts.applications, facts_of_tar(&root).applications, "{product}/{version}");
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(catalogue.len() >= 40 && trees >= 60 && decoys >= 40, "{trees} {decoys}");
}

/// A server with files, by their paths and what they say; what begins with `-> ` is a link.
fn laid_out(files: &[(&str, &str)]) -> (tempfile::TempDir, Facts) {
    let folder = tempfile::tempdir().unwrap();
    let all = [("etc/os-release", "ID=debian\nVERSION_ID=12\n")];
    for (path, text) in all.iter().chain(files) {
        let path = folder.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        match text.strip_prefix("-> ") {
            Some(target) => std::os::unix::fs::symlink(target, path).unwrap(),
            None => std::fs::write(path, text).unwrap(),
        }
    }
    let facts = facts_of(folder.path());
    assert_eq!(facts.applications, facts_of_tar(folder.path()).applications);
    (folder, facts)
}

fn whole(facts: &Facts) -> Vec<String> {
    let tell = |a: &WebApplication| {
        format!("{} {} {}", a.product, a.version.as_deref().unwrap_or("-"), a.path)
    };
    facts.applications.iter().map(tell).collect()
}

/// The settings and the state of a program, and a folder of an application within another of the same, are one.
fn one_installation_is_told_once() {
    let settings = ("etc/gitea/app.ini", "[server]\n");
    let state = ("var/lib/gitea/custom/conf/app.ini", "[server]\n");
    let other = ("srv/git/gitea/custom/conf/app.ini", "[server]\n");
    for (files, expected) in [
        (&[settings][..], &["gitea - /etc/gitea"][..]),
        (&[state], &["gitea - /var/lib/gitea"]),
        (&[settings, state], &["gitea - /var/lib/gitea"]),
        (&[settings, other], &["gitea - /etc/gitea", "gitea - /srv/git/gitea"]),
        (
            &[
                ("opt/gitlab/embedded/service/gitlab-rails/VERSION", "16.8.1\n"),
                ("opt/gitlab/embedded/bin/x", ""),
                (
                    "opt/gitlab/embedded/service/gitlab-rails/lib/gitlab/version_info.rb",
                    "module Gitlab\nend\n",
                ),
            ],
            &["gitlab 16.8.1 /opt/gitlab"],
        ),
        (
            &[
                ("srv/db/adminer/include/version.inc.php", "<?php\n$VERSION = \"4.8.1\";\n"),
                ("srv/db/adminer/include/adminer.inc.php", "<?php\n"),
            ],
            &["adminer 4.8.1 /srv/db"],
        ),
        (
            &[
                ("srv/db/adminer.php", "<?php\n/** Adminer\n* @version 4.8.1\n*/\n"),
                ("srv/db/adminer-4.7.0.php", "<?php\n/** Adminer\n* @version 4.7.0\n*/\n"),
            ],
            &["adminer 4.7.0 /srv/db/adminer-4.7.0.php", "adminer 4.8.1 /srv/db/adminer.php"],
        ),
    ] {
        let (_folder, facts) = laid_out(files);
        assert_eq!(whole(&facts), expected);
    }
}

/// Where the application is reached by links, or looks for its parts elsewhere.
fn parts_are_found_apart_from_their_application() {
    let typo3 = "<?php\ndefine('TYPO3_version', '8.7.9');\n";
    let (_folder, facts) = laid_out(&[
        ("srv/typo3_src-8.7.9/typo3/sysext/core/Classes/Core/SystemEnvironmentBuilder.php", typo3),
        ("srv/site/typo3_src", "-> ../typo3_src-8.7.9"),
        ("srv/site/typo3", "-> typo3_src/typo3"),
        (
            "srv/site/typo3conf/ext/news/ext_emconf.php",
            "<?php\n$EM_CONF[$_EXTKEY] = ['version' => '6.1.0'];\n",
        ),
    ]);
    assert_eq!(
        whole(&facts),
        ["news 6.1.0 /srv/site/typo3conf/ext/news", "typo3 8.7.9 /srv/typo3_src-8.7.9"]
    );
    let plugin = "<?php\n/*\nPlugin Name: A\nVersion: 5.3\n*/\n";
    let core = ("usr/share/wordpress/wp-includes/version.php", "<?php\n$wp_version = '6.1';\n");
    let (_folder, facts) = laid_out(&[
        core,
        ("var/lib/wordpress/wp-content/plugins/akismet/akismet.php", plugin),
        ("var/lib/wordpress/wp-content/plugins/akismet/class.php", "<?php\n"),
        ("var/lib/wordpress/wp-content/plugins/hello.php", plugin),
    ]);
    assert_eq!(
        whole(&facts),
        [
            "wordpress 6.1 /usr/share/wordpress",
            "akismet 5.3 /var/lib/wordpress/wp-content/plugins/akismet",
            "hello 5.3 /var/lib/wordpress/wp-content/plugins/hello.php",
        ]
    );
    // What the application reaches by a link is told there, and once.
    let (_folder, facts) = laid_out(&[
        core,
        ("usr/share/wordpress/wp-content", "-> /var/lib/wordpress/wp-content"),
        ("var/lib/wordpress/wp-content/plugins/akismet/akismet.php", plugin),
    ]);
    assert_eq!(
        whole(&facts),
        [
            "wordpress 6.1 /usr/share/wordpress",
            "akismet 5.3 /usr/share/wordpress/wp-content/plugins/akismet",
        ]
    );
    // A folder of that name is not enough.
    let decoy = ("srv/x/wp-content/plugins/akismet/akismet.php", "<?php // another\n");
    assert!(laid_out(&[decoy]).1.applications.is_empty());
}

/// A version file that is too long, emptied, or not text.
fn what_cannot_be_read_to_its_end_is_told_and_not_passed_over() {
    let long = format!("<?php /*{}*/ $wp_version = '5.5';", "x".repeat(270_000));
    let wide: String = "<?php $wp_version = '5.5';".chars().flat_map(|c| [c, '\0']).collect();
    let (login, settings) =
        (("srv/a/wp-login.php", "<?php\n"), ("srv/a/wp-settings.php", "<?php\n"));
    for text in ["", "<?php\n", &wide, &long] {
        let version = ("srv/a/wp-includes/version.php", text);
        let (_folder, facts) = laid_out(&[version, login, settings]);
        assert_eq!(whole(&facts), ["wordpress - /srv/a"]);
        let (_folder, facts) = laid_out(&[version, login]);
        assert!(facts.applications.is_empty());
        let obstacle = facts.obstacles.iter().find(|o| o.what == "/srv/a/wp-includes/version.php");
        assert_eq!(obstacle.is_some(), text.len() > 262_144, "{obstacle:?}");
    }
}

/// A war with the manifest of Jenkins, and one of another program under its name.
fn a_war_tells_its_version_by_its_manifest() {
    for (manifest, expected) in [
        ("Manifest-Version: 1.0\r\nJenkins-Version: 2.440.1\r\n", Some("2.440.1")),
        ("Manifest-Version: 1.0\r\n", None),
    ] {
        let tree = tempfile::tempdir().unwrap();
        std::fs::write(
            tree.path().join("jenkins.war"),
            stored_zip("META-INF/MANIFEST.MF", manifest),
        )
        .unwrap();
        let (_folder, root) = server(tree.path());
        let facts = facts_of(&root);
        let version = facts.applications.first().and_then(|a| a.version.as_deref());
        assert_eq!(version, expected, "{:?}", facts.applications);
        assert_eq!(facts.applications, facts_of_tar(&root).applications);
    }
}

/// Writes a zip with one member that is not packed (APPNOTE.TXT 4.3).
fn stored_zip(name: &str, text: &str) -> Vec<u8> {
    let (name, text) = (name.as_bytes(), text.as_bytes());
    let length = |bytes: &[u8]| u32::try_from(bytes.len()).unwrap().to_le_bytes();
    let short = |bytes: &[u8]| u16::try_from(bytes.len()).unwrap().to_le_bytes();
    let mut zip = b"PK\x03\x04\x0a\0\0\0\0\0\0\0\0\0\0\0\0\0".to_vec();
    zip.extend(length(text));
    zip.extend(length(text));
    zip.extend(short(name));
    zip.extend([0, 0]);
    zip.extend(name);
    zip.extend(text);
    let directory = zip.len();
    zip.extend(b"PK\x01\x02\x0a\0\x0a\0\0\0\0\0\0\0\0\0\0\0\0\0");
    zip.extend(length(text));
    zip.extend(length(text));
    zip.extend(short(name));
    zip.extend([0; 16]);
    zip.extend(name);
    let end = zip.len() - directory;
    zip.extend(b"PK\x05\x06\0\0\0\0\x01\0\x01\0");
    zip.extend(u32::try_from(end).unwrap().to_le_bytes());
    zip.extend(u32::try_from(directory).unwrap().to_le_bytes());
    zip.extend([0, 0]);
    zip
}

/// What lies in an application's place need not be a file, nor a small one, nor what it says it is.
fn hostile_trees_cost_nothing_but_themselves() {
    let tree = tempfile::tempdir().unwrap();
    let at = |path: &str| {
        let path = tree.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        path
    };
    // A FIFO, a directory, a link in a circle, a link outside, a sparse giant: each where a version is looked for.
    let run = |program: &str, argument: &Path| {
        assert!(std::process::Command::new(program).arg(argument).status().unwrap().success());
    };
    run("mkfifo", &at("fifo/wp-includes/version.php"));
    std::fs::create_dir_all(at("folder/wp-includes/version.php/x")).unwrap();
    std::os::unix::fs::symlink("version.php", at("circle/wp-includes/version.php")).unwrap();
    std::os::unix::fs::symlink("/etc/passwd", at("outside/wp-includes/version.php")).unwrap();
    let giant = std::fs::File::create(at("giant/wp-includes/version.php")).unwrap();
    giant.set_len(1 << 40).unwrap();
    std::fs::write(at("esc\u{1b}[2J\n/wp-includes/version.php"), "<?php $wp_version = '6.4';")
        .unwrap();
    std::fs::write(
        at("long/wp-includes/version.php"),
        format!("$wp_version = '{}';", "9".repeat(5000)),
    )
    .unwrap();
    std::fs::write(at("a.dist-info/METADATA"), "Name: \n").unwrap();
    std::fs::write(at("vendor/composer/installed.json"), "[".repeat(100_000)).unwrap();
    std::os::unix::fs::symlink("..", at("loop/up")).unwrap();
    let (_folder, root) = server(&repository().join("fixtures/webapps/wordpress/2.0.1"));
    let moved = root.join("srv/hostile");
    std::fs::rename(tree.path(), &moved).unwrap();
    let facts = facts_of(&root);
    let found = told(&facts.applications);
    let expected = [
        "wordpress - /srv/hostile/long",
        "wordpress 2.0.1 /srv/www/site",
        "wordpress 6.4 /srv/hostile/esc\u{1b}[2J\n",
    ];
    assert_eq!(found.iter().map(String::as_str).collect::<Vec<_>>(), expected);
    let obstacles: Vec<&str> = facts.obstacles.iter().map(|o| o.what.as_str()).collect();
    assert!(obstacles.iter().any(|o| o.ends_with("installed.json")), "{obstacles:?}");
}
