//! Web applications at any path, with their plugins, themes, modules and extensions, and the packages of languages that
//! lie beside the distribution's.
//!
//! One walk over the names of all files finds those that `catalog/webapps/*.toml` knows an application by; then that file
//! is read, and the version from the file that holds it. Nothing is run. A version that no file holds is unknown, and
//! said so. Which package owns an application, and which account its files, is told; and whether the configuration of a
//! web server leads to it. Python packages are known by their `METADATA` or `PKG-INFO` (core metadata specifications),
//! those of Composer by `vendor/composer/installed.json`.
//!
//! Not entered: network, FUSE and autofs mounts, and what stores containers; each is named.

mod copies;
mod languages;
mod reach;
mod recognise;
mod servers;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

use muster_core::application::{LanguagePackage, Walk, WebApplication};
use muster_core::catalog;
use muster_core::fact::{Facts, Obstacle, Reading};

use crate::catalogue::{APPLICATIONS, READS};
use crate::root::{CONTAINERS, MAX_LINKS, Root, Spotted, Wanted, is_below};
use crate::{Inspector, Scope, owners};

/// Finds web applications.
pub struct WebApplications;

const PASSWD: &str = "/etc/passwd";
/// Applications and their parts that are told.
const MAX_APPLICATIONS: usize = 20_000;
/// Packages of languages that are told.
const MAX_LANGUAGES: usize = 50_000;

static DECLARED: LazyLock<Vec<&'static str>> = LazyLock::new(|| {
    let own = [PASSWD];
    let lists = [&own[..], READS, &owners::READS, languages::READS, servers::READS];
    lists.into_iter().flatten().copied().collect()
});

static IN_PLACE: LazyLock<Vec<&'static str>> =
    LazyLock::new(|| [&DECLARED[..], servers::READS_IN_PLACE].concat());

/// What the end of a path was looked for.
#[derive(Clone, Copy)]
enum Looked {
    /// The sign, by its place, of the application, by its own.
    Sign(usize, usize),
    Language(languages::Form),
    /// A part of the application that may lie apart from it.
    Part(usize),
}

impl Inspector for WebApplications {
    fn name(&self) -> &'static str {
        "web-applications"
    }

    fn reads(&self) -> &'static [&'static str] {
        &DECLARED
    }

    fn reads_in_place(&self) -> &'static [&'static str] {
        &IN_PLACE
    }

    fn scope(&self) -> Scope {
        Scope::Everywhere
    }

    fn inspect(&self, root: &dyn Root, facts: &mut Facts) {
        let (looked, tails): (Vec<Looked>, Vec<&str>) =
            signs().chain(languages()).chain(parts()).unzip();
        let folders = looked.iter().take_while(|l| !matches!(l, Looked::Part(_))).count();
        let walked = match root.walk_all(&Wanted::new(&tails).folders_from(folders)) {
            Reading::Found(walked) => walked,
            Reading::Absent => return,
            Reading::Unknown(obstacle) => {
                facts.obstacles.push(obstacle.clone());
                facts.walk = Reading::Unknown(obstacle);
                return;
            }
        };
        facts.obstacles.extend(walked.obstacles);
        let mut by_folder: BTreeMap<(&str, usize), Vec<(usize, &Spotted)>> = BTreeMap::new();
        let mut homes: BTreeSet<(&str, usize)> = BTreeSet::new();
        let mut languages: Vec<LanguagePackage> = Vec::new();
        for spotted in &walked.spotted {
            match looked.get(spotted.tail) {
                Some(Looked::Sign(application, sign)) => {
                    let known = APPLICATIONS.get(*application).and_then(|a| a.signs.get(*sign));
                    // A file that is a whole application is one beside others of its kind.
                    let own = known.is_some_and(|sign| sign.itself);
                    let folder = if own { &spotted.path } else { &spotted.folder };
                    let group = by_folder.entry((folder, *application)).or_default();
                    group.push((*sign, spotted));
                }
                // One past the limit, so that it is noticed.
                Some(Looked::Language(_)) if languages.len() > MAX_LANGUAGES => {}
                Some(Looked::Language(form)) => {
                    languages::read(
                        root,
                        *form,
                        &spotted.path,
                        &mut languages,
                        &mut facts.obstacles,
                    );
                }
                Some(Looked::Part(application)) => {
                    homes.insert((&spotted.folder, *application));
                }
                None => {}
            }
        }
        let mut found = recognise::Found::default();
        for ((_, application), mut signs) in by_folder {
            signs.sort_unstable_by_key(|(sign, _)| *sign);
            if found.applications.len() > MAX_APPLICATIONS {
                break;
            }
            if let Some(known) = APPLICATIONS.get(application) {
                recognise::application(root, known, &signs, &mut found);
            }
        }
        for (folder, application) in homes {
            if found.applications.len() > MAX_APPLICATIONS {
                break;
            }
            if let Some(known) = APPLICATIONS.get(application) {
                recognise::apart(root, known, folder, &mut found);
            }
        }
        facts.obstacles.append(&mut found.obstacles);
        let mut applications = found.applications;
        make_one(&mut applications);
        leave_out_told(&mut languages, &applications);
        limit(&mut applications, MAX_APPLICATIONS, "web applications", &mut facts.obstacles);
        limit(&mut languages, MAX_LANGUAGES, "language packages", &mut facts.obstacles);
        // Only who has something to serve is asked what he serves.
        let serving = servers::document_roots(root, &mut facts.obstacles);
        let served = serving.served;
        name_not_walked(&served, &walked.not_walked, &mut facts.obstacles);
        let ways = reach::serve(root, &served, &mut applications);
        own(root, facts, &mut applications, &mut languages);
        name_accounts(root, &mut applications);
        let is_left = |a: &WebApplication| a.served_by.is_none() && a.owner_package.is_none();
        let is_known = serving.is_whole && serving.others.is_empty();
        if applications.iter().any(is_left) {
            facts.obstacles.extend(serving.others);
        }
        // What containers serve may lie outside of them.
        let is_alone = !walked.not_walked.iter().any(|(_, why)| why == CONTAINERS);
        copies::tell(&mut applications, &ways, is_known && is_alone);
        applications.sort_unstable();
        languages.sort_unstable();
        languages.dedup();
        facts.applications = applications;
        facts.languages = languages;
        facts.walk = Reading::Found(Walk {
            document_roots: served
                .into_iter()
                .map(|s| s.pattern.unwrap_or(s.path))
                .collect::<BTreeSet<_>>()
                .into_iter()
                .collect(),
            not_walked: walked.not_walked,
        });
    }
}

fn signs() -> impl Iterator<Item = (Looked, &'static str)> {
    APPLICATIONS.iter().enumerate().flat_map(|(application, known)| {
        known
            .signs
            .iter()
            .enumerate()
            .map(move |(sign, known)| (Looked::Sign(application, sign), known.file))
    })
}

fn languages() -> impl Iterator<Item = (Looked, &'static str)> {
    languages::TAILS.iter().map(|(form, tail)| (Looked::Language(*form), *tail))
}

fn parts() -> impl Iterator<Item = (Looked, &'static str)> {
    APPLICATIONS.iter().enumerate().flat_map(|(application, known)| {
        let tails = known.parts.iter().flat_map(|part| part.tails);
        tails.map(move |tail| (Looked::Part(application), *tail))
    })
}

/// Makes one of what is one installation: of folders within each other whose version stands in the same file the outermost
/// is told, and settings below `/etc` belong to what keeps its state below `/var/lib` (Filesystem Hierarchy Standard 5.8).
fn make_one(applications: &mut Vec<WebApplication>) {
    let whole = applications.iter().filter(|a| a.part_of.is_none());
    let mut outermost: BTreeMap<(String, String), String> = BTreeMap::new();
    let mut stateful: BTreeSet<(String, String)> = BTreeSet::new();
    for a in whole {
        let of_file = outermost.entry((a.product.clone(), a.evidence.clone()));
        let path = of_file.or_insert_with(|| a.path.clone());
        if is_below(path, &a.path) {
            path.clone_from(&a.path);
        }
        if let Some(name) = a.path.strip_prefix("/var/lib/") {
            stateful.insert((a.product.clone(), name.to_owned()));
        }
    }
    applications.retain(|a| {
        if a.part_of.is_some() {
            return true;
        }
        let settings =
            a.path.strip_prefix("/etc/").map(|name| (a.product.clone(), name.to_owned()));
        let outer = outermost.get(&(a.product.clone(), a.evidence.clone()));
        let is_inner = outer.is_some_and(|outer| *outer != a.path && is_below(&a.path, outer));
        !is_inner && settings.is_none_or(|settings| !stateful.contains(&settings))
    });
}

fn limit<T>(list: &mut Vec<T>, most: usize, what: &str, obstacles: &mut Vec<Obstacle>) {
    if list.len() > most {
        let why = format!(
            "there are more of them than the {most} that are told; remove what is not needed"
        );
        obstacles.push(Obstacle::new(what, why));
        list.truncate(most);
    }
}

/// Leaves out the packages of languages that are an application which was recognised there by its own files.
fn leave_out_told(languages: &mut Vec<LanguagePackage>, applications: &[WebApplication]) {
    fn above(path: &str) -> &str {
        path.rsplit_once('/').map_or("", |(folder, _)| folder)
    }

    let mut told: BTreeSet<(&str, &str, &str)> = BTreeSet::new();
    for application in applications.iter().filter(|a| a.part_of.is_none()) {
        let Some(known) = catalog::application(&application.product) else { continue };
        told.extend(known.names.iter().map(|(at, name)| (*at, *name, &*application.path)));
    }
    languages.retain(|package| {
        // Metadata lie beside what they speak of: in a folder of their own, or as one file.
        let folder = above(&package.path);
        let is_own = [".dist-info", ".egg-info"].iter().any(|end| folder.ends_with(end));
        let folder = if is_own { above(folder) } else { folder };
        let name = (package.ecosystem.as_str(), package.name.as_str());
        let within = format!("{folder}/");
        let has = |from: &str, is: &dyn Fn(&str) -> bool| {
            let next = told.range((name.0, name.1, from)..).next();
            next.is_some_and(|(at, own, path)| (*at, *own) == name && is(path))
        };
        !has(folder, &|path| path == folder) && !has(&within, &|path| path.starts_with(&within))
    });
}

/// Names what configurations lead to that was not walked.
fn name_not_walked(
    served: &[servers::Served],
    not_walked: &[(String, String)],
    obstacles: &mut Vec<Obstacle>,
) {
    for served in served {
        if let Some((_, why)) = not_walked.iter().find(|(place, _)| is_below(&served.path, place)) {
            let why = format!(
                "is served by {} and {why}: what runs there is not known; inspect it where it lives",
                served.by
            );
            obstacles.push(Obstacle::new(served.path.clone(), why));
        }
    }
}

/// Names the packages that own what was found.
fn own(
    root: &dyn Root,
    facts: &Facts,
    applications: &mut [WebApplication],
    languages: &mut [LanguagePackage],
) {
    let Some(database) = facts.database.found().copied() else { return };
    // A package's lists have the place of a file, not the links by which an application reaches it.
    let asked = applications.iter().map(|a| &a.evidence).chain(languages.iter().map(|l| &l.path));
    let real: BTreeMap<String, String> =
        asked.map(|path| (path.clone(), without_links(root, path))).collect();
    let owned = owners::owners(root, database, &real.values().cloned().collect::<BTreeSet<_>>());
    let owner = |path: &String| real.get(path).and_then(|real| owned.get(real)).cloned();
    for application in applications {
        application.owner_package = owner(&application.evidence);
    }
    for language in languages {
        language.owner_package = owner(&language.path);
    }
}

/// Follows the symbolic links on the way to a file, as far as they can be read; the path as it was where they lead nowhere.
fn without_links(root: &dyn Root, path: &str) -> String {
    let mut ahead: Vec<String> = path.split('/').rev().map(str::to_owned).collect();
    let mut behind: Vec<String> = Vec::new();
    let mut links = 0;
    while let Some(name) = ahead.pop() {
        match name.as_str() {
            "" | "." => continue,
            ".." => {
                behind.pop();
                continue;
            }
            _ => behind.push(name),
        }
        let Reading::Found(target) = root.link(&format!("/{}", behind.join("/"))) else { continue };
        links += 1;
        if links > MAX_LINKS {
            return path.to_owned();
        }
        behind.pop();
        if target.starts_with('/') {
            behind.clear();
        }
        ahead.extend(target.split('/').rev().map(str::to_owned));
    }
    format!("/{}", behind.join("/"))
}

/// Names the accounts that own the files, as passwd(5) does.
fn name_accounts(root: &dyn Root, applications: &mut [WebApplication]) {
    if applications.is_empty() {
        return;
    }
    let mut names: BTreeMap<u32, String> = BTreeMap::new();
    if let Reading::Found(bytes) = root.read(PASSWD, 4 << 20) {
        for line in String::from_utf8_lossy(&bytes).lines() {
            let mut fields = line.split(':');
            if let (Some(name), Some(Ok(user))) = (fields.next(), fields.nth(1).map(str::parse)) {
                names.entry(user).or_insert_with(|| name.to_owned());
            }
        }
    }
    for application in applications {
        if let Reading::Found(look) = root.look(&application.evidence) {
            application.account =
                Some(names.get(&look.user).cloned().unwrap_or_else(|| look.user.to_string()));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::inspectors::apt::testing::Files;

    pub(super) fn found(files: &[(&str, &str)]) -> Facts {
        let mut facts = Facts::default();
        WebApplications.inspect(&Files::of(files), &mut facts);
        facts
    }

    #[test]
    fn each_copy_is_told_with_its_parts() {
        let version = "<?php\n$wp_version = '6.4.3';\n";
        let facts = found(&[
            ("srv/www/blog/wp-includes/version.php", version),
            (
                "srv/www/blog/wp-content/plugins/akismet/akismet.php",
                "<?php\n/*\n * Plugin Name: A\n * Version: 5.3\n */\n",
            ),
            ("srv/www/blog.bak/wp-includes/version.php", "<?php\n$wp_version = \"4.0\";\n"),
            ("srv/doc/wp-includes/version.php", "how to read the version"),
            ("etc/nginx/sites-enabled/blog", "server { root /srv/www/blog; }\n"),
            ("etc/nginx/nginx.conf", "http { include /etc/nginx/sites-enabled/*; }\n"),
        ]);
        let told: Vec<String> = facts
            .applications
            .iter()
            .map(|a| {
                let version = a.version.as_deref().unwrap_or("-");
                let copy = a.copy.as_deref().unwrap_or("-");
                format!("{} {} {version} {copy} {}", a.path, a.product, a.served_by.is_some())
            })
            .collect();
        assert_eq!(
            told,
            [
                "/srv/www/blog wordpress 6.4.3 - true",
                "/srv/www/blog.bak wordpress 4.0 backup false",
                "/srv/www/blog/wp-content/plugins/akismet akismet 5.3 - true",
            ]
        );
    }
}
