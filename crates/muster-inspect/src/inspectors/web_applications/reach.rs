//! Which applications visitors reach, and by which names: what configurations serve, held against where applications lie.
//!
//! An application is reached through a folder that is served above it or that is its own; through a symbolic link that is
//! such a folder, or that lies in one; or through a folder within it (`public/`) that holds no application of its own. A
//! part is reached as its application is. Whether a server lets visitors through is not asked.

use std::collections::{BTreeMap, BTreeSet};

use muster_core::application::WebApplication;

use super::copies::nearest;
use super::servers::Served;
use super::without_links;
use crate::root::{Root, glob};

/// Links in document roots that are followed.
const MAX_SERVED_LINKS: usize = 10_000;

/// Where a link of a document root leads: the file that serves it, and the name of the link below the root.
type Linked<'a> = BTreeMap<String, Vec<(&'a str, String)>>;

/// Ties applications to the configuration that leads to them. Returns of each the names by which it is reached, below the
/// folder that the configuration names, once for each way.
pub(super) fn serve(
    root: &dyn Root,
    served: &[Served],
    applications: &mut [WebApplication],
) -> Vec<Vec<String>> {
    let mut ways: Vec<Vec<String>> = vec![Vec::new(); applications.len()];
    if applications.is_empty() {
        return ways;
    }
    let (patterns, whole): (Vec<&Served>, Vec<&Served>) =
        served.iter().partition(|s| s.pattern.is_some());
    let named: BTreeMap<&str, &str> = whole.iter().map(|s| (&*s.path, &*s.by)).collect();
    // A folder may be served under another name than its own: through a link, to a document root or within one.
    let linked = linked(root, served);
    let inner = around(&whole, &linked, applications);
    for (application, ways) in applications.iter_mut().zip(&mut ways) {
        let path = application.path.as_str();
        let mut by = None;
        if let Some((folder, file)) = nearest(path, |folder| named.get(folder).copied()) {
            by = Some(file);
            ways.push(path.get(folder.len()..).unwrap_or_default().to_owned());
        }
        for served in &patterns {
            if let Some(below) = served.below(path) {
                by = by.or(Some(&*served.by));
                ways.push(below.to_owned());
            }
        }
        // Debian's own lie elsewhere, and the document root has a link to each of their folders.
        if let Some((folder, links)) = nearest(&application.evidence, |folder| linked.get(folder)) {
            let below = path.strip_prefix(folder).unwrap_or_default();
            for (file, name) in links {
                by = by.or(Some(*file));
                ways.push(format!("{name}{below}"));
            }
        }
        if let Some(file) = inner.get(path) {
            by = by.or(Some(*file));
            ways.push(String::new());
        }
        application.served_by = by.map(str::to_owned);
    }
    parts(applications);
    ways
}

/// Serves the parts of what is served.
fn parts(applications: &mut [WebApplication]) {
    let served: BTreeMap<(String, String), String> = applications
        .iter()
        .filter(|a| a.part_of.is_none())
        .filter_map(|a| Some(((a.product.clone(), a.path.clone()), a.served_by.clone()?)))
        .collect();
    for part in applications.iter_mut().filter(|a| a.served_by.is_none()) {
        let Some(of) = &part.part_of else { continue };
        let by = nearest(&part.path, |folder| served.get(&(of.clone(), folder.to_owned())));
        part.served_by = by.map(|(_, by)| by.clone());
    }
}

/// Returns the applications within which a folder is served that holds none of its own, and the file that says so.
fn around<'a>(
    served: &[&'a Served],
    linked: &Linked<'a>,
    applications: &[WebApplication],
) -> BTreeMap<String, &'a str> {
    let own: BTreeSet<&str> =
        applications.iter().filter(|a| a.part_of.is_none()).map(|a| &*a.path).collect();
    let folders = served.iter().map(|s| (&*s.path, &*s.by));
    let links = linked.iter().filter_map(|(path, links)| Some((&**path, links.first()?.0)));
    let mut around = BTreeMap::new();
    for (folder, by) in folders.chain(links) {
        let within = format!("{folder}/");
        let has_own = own.contains(folder)
            || own.range(&*within..).next().is_some_and(|path| path.starts_with(&within));
        if has_own {
            continue;
        }
        if let Some((_, path)) = nearest(folder, |above| own.get(above).copied()) {
            around.entry(path.to_owned()).or_insert(by);
        }
    }
    around
}

/// Returns where links lead to that document roots are, or that lie in them.
fn linked<'a>(root: &dyn Root, served: &'a [Served]) -> Linked<'a> {
    let mut linked = Linked::new();
    let mut left = MAX_SERVED_LINKS;
    for served in served {
        let mut follow = |path: &str, name: String| {
            let target = without_links(root, path);
            if target != path {
                linked.entry(target).or_default().push((&*served.by, name));
            }
        };
        follow(&served.path, String::new());
        let pattern = served.pattern.as_deref();
        for name in root.links_in(&served.path) {
            if left == 0 {
                return linked;
            }
            left -= 1;
            let path = format!("{}/{name}", served.path.trim_end_matches('/'));
            match pattern {
                None => follow(&path, name),
                // The link is such a folder itself, or one lies behind it.
                Some(pattern) if glob(beginning(pattern, &path), &path) => {
                    follow(&path, String::new());
                }
                Some(_) => {}
            }
        }
    }
    linked
}

/// Returns as many names of a pattern as a path has.
fn beginning<'p>(pattern: &'p str, path: &str) -> &'p str {
    let end = pattern.match_indices('/').map(|(at, _)| at).nth(path.matches('/').count());
    end.and_then(|end| pattern.get(..end)).unwrap_or(pattern)
}

#[cfg(test)]
mod tests {
    use crate::Inspector as _;
    use crate::inspectors::apt::testing::Files;
    use crate::inspectors::web_applications::WebApplications;
    use muster_core::fact::Facts;

    const VERSION: &str = "<?php\n$wp_version = '4.9.8';\n";

    /// Says of each copy of WordPress what it is taken for, and whether it is served.
    pub(super) fn told(
        copies: &[&str],
        links: &[(&str, &str)],
        configuration: &str,
    ) -> Vec<String> {
        let mut files = Files::of(&[("etc/apache2/apache2.conf", configuration)]);
        for copy in copies {
            files.put(&format!("{copy}/wp-includes/version.php"), VERSION.as_bytes());
        }
        for (link, target) in links {
            files.link(link, target);
        }
        let mut facts = Facts::default();
        WebApplications.inspect(&files, &mut facts);
        let applications = facts.applications.iter();
        let told = applications.map(|a| {
            let served = if a.served_by.is_some() { " served" } else { "" };
            format!("{}: {}{served}", a.path, a.copy.as_deref().unwrap_or("-"))
        });
        told.collect()
    }

    #[test]
    fn what_a_configuration_names_is_no_backup_whatever_it_is_called() {
        assert_eq!(
            told(
                &["www/old.site", "www/old.site/blog", "www/old.site/blog.bak"],
                &[],
                "DocumentRoot /www/old.site\n"
            ),
            [
                "/www/old.site: - served",
                "/www/old.site/blog: - served",
                "/www/old.site/blog.bak: backup served",
            ]
        );
        assert_eq!(
            told(&["www/a", "www/old"], &[], "DocumentRoot /www\n"),
            ["/www/a: - served", "/www/old: backup served"]
        );
        assert_eq!(
            told(&["www/a", "www/old", "srv/b"], &[], "DocumentRoot /www\nAlias /x /www/old/\n"),
            ["/srv/b: abandoned", "/www/a: - served", "/www/old: - served"]
        );
    }

    #[test]
    fn what_a_folder_within_it_is_served_of_is_served() {
        assert_eq!(
            told(
                &["srv/shop", "srv/shop.old", "srv/out", "srv/out/in"],
                &[],
                "DocumentRoot /srv/shop.old/public\nAlias /i /srv/out/in\n"
            ),
            [
                "/srv/out: abandoned",
                "/srv/out/in: - served",
                "/srv/shop: abandoned",
                "/srv/shop.old: - served"
            ]
        );
    }

    #[test]
    fn what_a_link_leads_to_has_the_name_of_the_link() {
        // The root of in-memory files lists no links beside files: the document root itself is one.
        assert_eq!(
            told(
                &["srv/blog-20240304", "srv/blog-20230304"],
                &[("srv/blog", "blog-20240304")],
                "DocumentRoot /srv/blog\n"
            ),
            ["/srv/blog-20230304: backup", "/srv/blog-20240304: - served"]
        );
    }

    #[test]
    fn what_is_not_known_to_be_left_over_is_not_called_so() {
        let copies = ["srv/a", "srv/b", "srv/vh/old", "srv/vh/x.bak/blog"];
        let all = ["/srv/a: - served", "/srv/b: abandoned"];
        let known = "DocumentRoot /srv/a\nVirtualDocumentRoot /srv/vh/%0\n";
        assert_eq!(
            told(&copies, &[], known),
            [&all[..], &["/srv/vh/old: - served", "/srv/vh/x.bak/blog: - served"]].concat()
        );
        let unknown = format!("{known}Alias /x ${{SOMETHING}}/x\n");
        assert!(!told(&copies, &[], &unknown).concat().contains("abandoned"));
    }
}
