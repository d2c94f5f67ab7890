//! CISA's catalogue of known exploited vulnerabilities: `known_exploited_vulnerabilities.json`, with the schema that
//! CISA publishes beside it. Its description, required action and notes are not kept: they are for federal agencies.

use muster_core::advisory::{Exploited, Item, Sink};
use muster_core::time::Date;
use serde::Deserialize;

use crate::json::{Broken, ELEMENT, Str, Walk, outer_keys};
use crate::lines::problem;
use crate::{Document, Feed, Recognised};

/// The reader of the catalogue.
pub(crate) struct CisaKev;

impl Feed for CisaKev {
    fn name(&self) -> &'static str {
        "cisa-kev"
    }

    fn has_advisories(&self) -> bool {
        false
    }

    fn recognises(&self, _path: &str, head: &[u8]) -> Recognised {
        let keys = outer_keys(head);
        let has = |key: &str| keys.iter().any(|k| k == key);
        if has("catalogVersion") && has("vulnerabilities") {
            Recognised::Yes
        } else {
            Recognised::No
        }
    }

    fn read(&self, document: &mut Document<'_>, sink: &mut dyn Sink) {
        let path = document.path;
        let mut walk = Walk::new(document.reader);
        if let Err(broken) = catalogue(&mut walk, path, sink) {
            walk.report(path, &broken, sink);
        }
    }
}

fn catalogue(walk: &mut Walk<'_>, path: &str, sink: &mut dyn Sink) -> Result<(), Broken> {
    walk.object()?;
    while let Some(key) = walk.key()? {
        if key != "vulnerabilities" {
            walk.skip()?;
            continue;
        }
        walk.array()?;
        while walk.more()? {
            let Some(raw) = walk.value(ELEMENT)? else {
                sink.problem(problem(path, walk.line(), "an entry is too long"));
                continue;
            };
            match raw.parse::<Entry<'_>>(path) {
                Ok(entry) => sink.item(Item::Exploited(entry.exploited())),
                Err(mut wrong) => {
                    wrong.what = format!("a vulnerability was not understood: {}", wrong.what);
                    sink.problem(wrong);
                }
            }
        }
    }
    Ok(())
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Entry<'a> {
    #[serde(borrow, rename = "cveID")]
    cve: Str<'a>,
    date_added: Date,
    #[serde(default)]
    due_date: Option<Date>,
    #[serde(borrow, default)]
    known_ransomware_campaign_use: Option<Str<'a>>,
    #[serde(borrow, default)]
    vulnerability_name: Option<Str<'a>>,
}

impl<'a> Entry<'a> {
    fn exploited(self) -> Exploited<'a> {
        Exploited {
            cve: self.cve.0,
            added: self.date_added,
            due: self.due_date,
            ransomware: self
                .known_ransomware_campaign_use
                .is_some_and(|word| word.0.eq_ignore_ascii_case("known")),
            title: self.vulnerability_name.unwrap_or_default().0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{check, holds_on_any_bytes, read_shared};

    #[test]
    fn entries_are_read_and_broken_ones_named() {
        check(&CisaKev, "cisa-kev/catalogue.json");
    }

    #[test]
    fn any_bytes_are_taken() {
        let good = include_bytes!("../../../../fixtures/feeds/cisa-kev/catalogue.json");
        holds_on_any_bytes(&CisaKev, "kev.json", good);
    }

    #[test]
    fn the_whole_catalogue_is_read() {
        let Some(heard) =
            read_shared(&CisaKev, "data/advisories/signals/cisa-kev-2026-08-07.json.zst")
        else {
            return;
        };
        let ransomware = heard.items.iter().filter(|i| i["Exploited"]["ransomware"] == true);
        assert_eq!((heard.items.len(), ransomware.count()), (1662, 338));
        assert_eq!(heard.problems, []);
    }
}
