//! A file that was cut, bent or is something else is refused in words, and is never read out of bounds.

use std::fs;

use muster_match::section::Section;
use muster_match::{AdvisoryFile, Error};
use proptest::prelude::*;

use super::{Compiled, cve, fixed, notice};

fn sample() -> Compiled {
    Compiled::of(vec![
        notice("DSA-1-1", &["CVE-2024-0001"], vec![fixed("debian:12", "curl", "8.0-2")]),
        cve(
            "CVE-2024-0001",
            vec![fixed("debian:12", "curl", "8.0-2"), fixed("debian:11", "curl", "7.0-2")],
        ),
    ])
}

#[test]
fn the_same_records_give_the_same_bytes() {
    assert_eq!(fs::read(sample().path()).unwrap(), fs::read(sample().path()).unwrap());
}

#[test]
fn a_file_of_another_kind_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x");
    for bytes in [&b""[..], b"MUSTER", &[0; 4096]] {
        fs::write(&path, bytes).unwrap();
        assert!(matches!(AdvisoryFile::open(&path), Err(Error::Foreign(_))), "{bytes:?}");
    }
}

#[test]
fn a_newer_layout_is_refused_by_its_number() {
    let sample = sample();
    let mut bytes = fs::read(sample.path()).unwrap();
    bytes[8] = 9;
    fs::write(sample.path(), bytes).unwrap();
    assert!(matches!(AdvisoryFile::open(&sample.path()), Err(Error::Newer { found: 9, .. })));
}

#[test]
fn a_file_that_shrinks_while_it_is_read_is_an_error() {
    let sample = sample();
    let file = sample.open();
    fs::OpenOptions::new().write(true).open(sample.path()).unwrap().set_len(300).unwrap();
    let error = file.release("debian:12").unwrap_err().to_string();
    assert!(error.contains("became shorter"), "{error}");
}

fn read_everything(path: &std::path::Path) -> Result<(), Error> {
    let file = AdvisoryFile::open(path)?;
    file.provenance()?;
    file.calendar(&mut |_| {})?;
    file.records("CVE-2024-0001", &mut |_, _| {})?;
    file.every_record(&mut |_, _| {})?;
    for release in ["debian:12", "debian:11"] {
        file.release(release)?.as_deref().map(Section::new).transpose()?;
    }
    Ok(())
}

#[test]
fn every_single_cut_is_noticed() {
    let sample = sample();
    let whole = fs::read(sample.path()).unwrap();
    for length in 0..whole.len() {
        fs::write(sample.path(), &whole[..length]).unwrap();
        assert!(read_everything(&sample.path()).is_err(), "cut at {length} of {}", whole.len());
    }
}

#[test]
fn every_single_bent_byte_is_noticed() {
    let sample = sample();
    let whole = fs::read(sample.path()).unwrap();
    for at in 0..whole.len() {
        let mut bent = whole.clone();
        bent[at] ^= 0x10;
        fs::write(sample.path(), &bent).unwrap();
        assert!(read_everything(&sample.path()).is_err(), "byte {at} of {}", whole.len());
    }
}

proptest! {
    #[test]
    fn tables_of_any_bytes_are_read_within_bounds(bytes in proptest::collection::vec(any::<u8>(), 0..600)) {
        if let Ok(section) = Section::new(&bytes) {
            walk(&section);
        }
    }

    #[test]
    fn tables_with_small_counts_are_read_within_bounds(counts in proptest::collection::vec(0_u32..6, 13), rest in proptest::collection::vec(any::<u8>(), 400..900)) {
        let mut bytes: Vec<u8> = counts.iter().flat_map(|c| c.to_le_bytes()).collect();
        bytes.extend(rest.iter().map(|b| b & 0x7f));
        if let Ok(section) = Section::new(&bytes) {
            walk(&section);
        }
    }
}

fn walk(section: &Section<'_>) {
    for package in section.packages() {
        let _names = (package.name.len(), section.versions(&package).len());
        for group in section.groups(&package) {
            for member in section.members(&group).take(100) {
                let advisory = section.advisory(member);
                let _id = section.id(&advisory);
                let _cves = section.cves(member).take(100).count();
                let _exploited = section.exploited(member);
            }
        }
    }
    let _lines = section.lines().count();
    let _archived = section.archived("curl").is_some();
}
