//! The vendors' own bytes and the tables made of them: counts, and what is broken in them.

use std::fs;

use muster_core::advisory::Status;

use super::{read, shared};

#[test]
fn the_tables_have_their_counts() {
    let Some(data) = shared() else { return };
    // `contained`, `nova`, `lts-2.6.35-25.44`, `1:1.12_1.12.6-1…`: a problem of the first three is such a fix.
    for (name, records, statements, fixes, problems) in [
        ("ubuntu/uct-2024-02-16.osv-derived.14.04-23.10.ndjson.zst", 26_766, 175_375, 90_544, 1),
        ("ubuntu/uct-2024-02-16.osv-derived.6.06-13.10.ndjson.zst", 20_138, 77_761, 77_758, 3),
        ("debian/dsa-dla-2023-04-01.osv-derived.ndjson.zst", 8_905, 10_458, 10_457, 1),
        // One notice has two ranges without their arrays.
        ("debian/elts-ela-2026-08-17.osv.ndjson.zst", 1_712, 2_511, 2_511, 2),
        ("webapps/drupal-2026-08-21.osv.ndjson.zst", 591, 856, 789, 0),
    ] {
        let (source, heard) = read(&data.join(name));
        let source = source.unwrap();
        assert_eq!((source.format, source.records), ("osv", records), "{name}");
        assert_eq!((heard.statements, heard.fixes), (statements, fixes), "{name}");
        assert_eq!(heard.problems.len(), problems, "{name}: {:?}", heard.problems);
    }
}

/// 5,680 records, of which 43 are said again for another release in the same words.
#[test]
fn modular_notices_have_their_streams() {
    let Some(data) = shared() else { return };
    let (source, heard) = read(&data.join("almalinux/almalinux-8-9-10-2026-08-21.osv.ndjson.zst"));
    assert_eq!(source.unwrap().records, 5_637);
    assert_eq!(heard.problems, []);
    assert_eq!((heard.modular, heard.unknown_streams), (15_685, 172));
}

#[test]
fn the_tracker_has_its_states() {
    let Some(data) = shared() else { return };
    let (source, heard) = read(&data.join("ubuntu/uct-2024-02-16.tar.zst"));
    assert_eq!(source.unwrap().records, 46_773);
    let count = |status| heard.states.get(&status).copied().unwrap_or_default();
    assert_eq!(count(Status::Fixed), 353_145);
    assert_eq!(count(Status::NeedsTriage), 143_178);
    assert_eq!(count(Status::Needed), 23_426);
    assert_eq!(count(Status::NotAffected), 397_024);
    assert_eq!(count(Status::Ignored) + count(Status::EndOfLife), 370_921);
    assert_eq!(count(Status::DoesNotExist), 1_797_093);
    // Five lines of upstream's have a version where a state should stand, and three fixes are no versions.
    assert_eq!((heard.problems.len(), count(Status::Undetermined)), (8, 8));
}

#[test]
fn the_vendors_own_samples_are_read_and_broken_ones_give_problems() {
    let Some(data) = shared() else { return };
    let folder = tempfile::tempdir().unwrap();
    let packed = fs::File::open(data.join("format-samples-2026-08.tar.zst")).unwrap();
    let mut archive = tar::Archive::new(zstd::Decoder::new(packed).unwrap());
    archive.unpack(folder.path()).unwrap();
    let root = folder.path();
    let root = if root.join("ubuntu").is_dir() {
        root.to_owned()
    } else {
        fs::read_dir(root).unwrap().next().unwrap().unwrap().path()
    };
    for (name, format, records) in [
        ("alma/osv/all.zip", "osv", 4),
        ("alpine/osv/all.zip", "osv", 2),
        ("chainguard/osv/all.zip", "osv", 1),
        ("debian/osv/all.zip", "osv", 3),
        ("redhat/osv/all.zip", "osv", 3),
        ("rocky/osv/all.zip", "osv", 2),
        ("ubuntu/osv/happy/osv-all.tar.xz", "osv", 3),
        ("ubuntu/osv-extra", "osv", 30),
        ("ubuntu/usndb/happy/database-all.json.bz2", "ubuntu-usn", 3),
        ("ubuntu/notice/happy", "ubuntu-usn", 3),
        ("ubuntu/vex/vex-all.tar.xz", "ubuntu-vex", 3),
        ("ubuntu/vex-extra", "ubuntu-vex", 2),
        ("ubuntu/tracker", "ubuntu-cve-tracker", 4),
    ] {
        let (source, heard) = read(&root.join(name));
        let source = source.unwrap();
        assert_eq!((source.format, source.records), (format, records), "{name}");
        let problems: Vec<String> =
            heard.problems(&root).into_iter().filter(|p| !p.contains("commits.json")).collect();
        assert_eq!(problems, [""; 0], "{name}");
    }
    for name in ["alma/updateinfo/corruptcrc", "debian/tracker/api/invalid.json"] {
        let (source, heard) = read(&root.join(name));
        assert!(source.is_err() || !heard.problems.is_empty(), "{name}");
    }
}
