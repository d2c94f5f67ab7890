//! A source is the same, however it is packed and wherever it lies.

use std::fs;
use std::io::Write as _;
use std::path::Path;

use muster_feed::input::{self, Error};

use super::{read, read_all};

fn record(id: &str) -> String {
    format!("{{\"id\":\"{id}\",\"modified\":\"2031-01-01T00:00:00Z\",\"affected\":[]}}\n")
}

fn tar(files: &[(&str, &str)]) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    for (name, content) in files {
        let mut header = tar::Header::new_gnu();
        header.set_size(content.len() as u64);
        // The library refuses names that lead out of the archive; who wants to harm does not.
        header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
        header.set_cksum();
        builder.append(&header, content.as_bytes()).unwrap();
    }
    builder.into_inner().unwrap()
}

fn zip(files: &[(&str, &str)]) -> Vec<u8> {
    let mut writer = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    for (name, content) in files {
        writer.start_file(*name, zip::write::SimpleFileOptions::default()).unwrap();
        writer.write_all(content.as_bytes()).unwrap();
    }
    writer.finish().unwrap().into_inner()
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn bzip2(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn xz(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = liblzma::write::XzEncoder::new(Vec::new(), 1);
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn zstd(bytes: &[u8]) -> Vec<u8> {
    zstd::encode_all(bytes, 1).unwrap()
}

fn ids_of(folder: &Path, bytes: &[u8]) -> Vec<String> {
    let path = folder.join("a source without a telling name");
    fs::write(&path, bytes).unwrap();
    let (source, heard) = read(&path);
    let source = source.unwrap();
    assert_eq!(heard.problems(folder), [""; 0]);
    assert_eq!((source.format, source.records), ("osv", 2));
    heard.ids
}

#[test]
fn every_packing_and_archive_holds_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let (a, b) = (record("CVE-2031-0001"), record("CVE-2031-0002"));
    let plain = format!("{a}{b}");
    let files = [("a.json", a.as_str()), ("b.json", b.as_str())];
    let packed = [("../../a.json", a.as_str()), ("/b.json", b.as_str())];
    for bytes in [
        plain.clone().into_bytes(),
        gzip(plain.as_bytes()),
        bzip2(plain.as_bytes()),
        xz(plain.as_bytes()),
        zstd(plain.as_bytes()),
        [gzip(a.as_bytes()), gzip(b.as_bytes())].concat(),
        [zstd(a.as_bytes()), zstd(b.as_bytes())].concat(),
        [xz(a.as_bytes()), xz(b.as_bytes())].concat(),
        tar(&files),
        tar(&packed),
        zip(&files),
        zip(&packed),
        gzip(&tar(&files)),
        xz(&tar(&files)),
        bzip2(&tar(&files)),
        zstd(&tar(&files)),
    ] {
        assert_eq!(ids_of(folder.path(), &bytes), ["CVE-2031-0001", "CVE-2031-0002"]);
    }
}

#[test]
fn a_folder_is_walked_in_the_order_of_names_and_links_are_not_followed() {
    let outside = tempfile::tempdir().unwrap();
    fs::write(outside.path().join("c.json"), record("CVE-2031-0003")).unwrap();
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir_all(folder.path().join("b/.git")).unwrap();
    fs::write(folder.path().join("b/x.json.gz"), gzip(record("CVE-2031-0002").as_bytes())).unwrap();
    fs::write(folder.path().join("b/.git/x.json"), record("CVE-2031-0009")).unwrap();
    fs::write(folder.path().join("a.json"), record("CVE-2031-0001")).unwrap();
    fs::write(folder.path().join("again.json"), record("CVE-2031-0001")).unwrap();
    fs::write(folder.path().join("z.txt"), "something else\n").unwrap();
    std::os::unix::fs::symlink(outside.path(), folder.path().join("c")).unwrap();
    std::os::unix::fs::symlink(folder.path(), folder.path().join("loop")).unwrap();
    let (source, heard) = read(folder.path());
    assert_eq!(heard.ids, ["CVE-2031-0001", "CVE-2031-0002"]);
    let link = "is a link out of the folder and not followed: name what it points to";
    assert_eq!(
        heard.problems(folder.path()),
        [format!("c: {link}"), "z.txt: is of no feed that Muster reads: passed over".to_owned()]
    );
    assert_eq!(source.unwrap().problems, 2);
}

#[test]
fn a_folder_of_links_says_that_they_are_not_followed() {
    let outside = tempfile::tempdir().unwrap();
    fs::write(outside.path().join("a.json"), record("CVE-2031-0001")).unwrap();
    let folder = tempfile::tempdir().unwrap();
    for name in ["a.json", "gone.json"] {
        std::os::unix::fs::symlink(outside.path().join(name), folder.path().join(name)).unwrap();
    }
    let error = read(folder.path()).0.unwrap_err();
    assert!(matches!(error, Error::Links(2)), "{error}");
    assert!(error.to_string().contains("links"), "{error}");
}

/// What `muster feed pull` may have fetched, as its vendors publish it.
fn pulled() -> [(&'static str, Vec<u8>); 5] {
    let kev = r#"{"catalogVersion":"2031.01.01","vulnerabilities":[{"cveID":"CVE-2031-0001","dateAdded":"2031-01-02"}]}"#;
    let list = "[05 Jan 2031] DSA-9901-1 harbour - security update\n\t{CVE-2031-0001}\n\t[bookworm] - harbour 2.0-1\n";
    [
        ("cisa-kev.json", kev.into()),
        (
            "debian-osv.zip",
            zip(&[("a.json", &record("CVE-2031-0002")), ("b.json", &record("CVE-2031-0003"))]),
        ),
        ("debian-dsa-list", list.into()),
        ("epss.csv.gz", gzip(b"cve,epss,percentile\nCVE-2031-0001,0.5,0.9\n")),
        ("other.ndjson.zst", zstd(record("CVE-2031-0004").as_bytes())),
    ]
}

#[test]
fn a_folder_may_hold_the_files_of_many_vendors() {
    let ids = ["DSA-9901-1", "CVE-2031-0002", "CVE-2031-0003", "CVE-2031-0004"];
    let expected = |name: &str| match name {
        "cisa-kev.json" => ("cisa-kev", 1),
        "debian-dsa-list" => ("debian-lists", 1),
        "debian-osv.zip" => ("osv", 2),
        "epss.csv.gz" => ("epss", 1),
        _ => ("osv", 1),
    };
    // Side by side, with the notes of who fetched them or without, and each in a folder of its own.
    for (notes, nested) in [(true, false), (false, false), (false, true)] {
        let folder = tempfile::tempdir().unwrap();
        if notes {
            fs::create_dir(folder.path().join(".pull")).unwrap();
            fs::write(folder.path().join(".pull/cisa-kev.json.toml"), "x = 1\n").unwrap();
        }
        for (name, bytes) in pulled() {
            let place = folder.path().join(if nested { format!("{name}/x") } else { name.into() });
            fs::create_dir_all(place.parent().unwrap()).unwrap();
            fs::write(place, bytes).unwrap();
        }
        let (sources, heard) = read_all(folder.path());
        assert_eq!(heard.problems(folder.path()), [""; 0]);
        assert_eq!(heard.ids, ids, "nested: {nested}");
        let sources = sources.unwrap();
        assert_eq!(sources.len(), 5);
        for source in sources {
            let name = source.path.rsplit('/').next().unwrap();
            assert_eq!((source.format, source.records), expected(name), "{}", source.path);
        }
    }
}

#[test]
fn an_archive_may_hold_them_too() {
    let folder = tempfile::tempdir().unwrap();
    let list = String::from_utf8(pulled()[2].1.clone()).unwrap();
    let kev = String::from_utf8(pulled()[0].1.clone()).unwrap();
    let (one, two) = (record("CVE-2031-0001"), record("CVE-2031-0002"));
    let path = folder.path().join("feeds.tar.gz");
    let files =
        [("f/kev", &*kev), ("f/a", &*one), ("f/list", &*list), ("f/b", &*two), ("f/c", "c")];
    fs::write(&path, gzip(&tar(&files))).unwrap();
    let (sources, heard) = read_all(&path);
    let sources = sources.unwrap();
    let of: Vec<_> = sources.iter().map(|s| (s.format, s.records)).collect();
    assert_eq!(of, [("cisa-kev", 1), ("osv", 2), ("debian-lists", 1)]);
    assert_eq!(heard.ids, ["CVE-2031-0001", "DSA-9901-1", "CVE-2031-0002"]);
    let what = "is of no feed that Muster reads: passed over";
    assert_eq!(heard.problems(folder.path()), [format!("feeds.tar.gz!f/c: {what}")]);
}

#[test]
fn what_is_wrong_among_many_is_named_and_what_was_pulled_must_be_right() {
    let folder = tempfile::tempdir().unwrap();
    for (name, bytes) in pulled() {
        fs::write(folder.path().join(name), bytes).unwrap();
    }
    fs::write(folder.path().join("debian-dsa-list"), "<html>moved</html>").unwrap();
    fs::write(folder.path().join("epss.csv.gz"), "").unwrap();
    let (sources, heard) = read_all(folder.path());
    assert_eq!(sources.unwrap().len(), 3);
    assert_eq!(
        heard.problems(folder.path()),
        [
            "debian-dsa-list: is of no feed that Muster reads: passed over",
            "epss.csv.gz: is empty: passed over"
        ]
    );
    fs::create_dir(folder.path().join(".pull")).unwrap();
    let error = read_all(folder.path()).0.unwrap_err().to_string();
    assert!(error.contains("/debian-dsa-list is of no feed"), "{error}");
}

#[test]
fn very_many_entries_are_summed_up_by_feed() {
    let folder = tempfile::tempdir().unwrap();
    for number in 0..400 {
        let id = format!("CVE-2031-{number:04}");
        fs::write(folder.path().join(format!("{number:04}.json")), record(&id)).unwrap();
    }
    assert_eq!(read(folder.path()).0.unwrap().path, folder.path().display().to_string());
    fs::write(folder.path().join("list"), &pulled()[2].1).unwrap();
    let sources = read_all(folder.path()).0.unwrap();
    let of: Vec<_> = sources.iter().map(|s| (s.format, s.records)).collect();
    assert_eq!(of, [("osv", 400), ("debian-lists", 1)]);
}

#[test]
fn an_id_that_two_documents_use_for_two_things_is_a_problem() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("a.json"), record("CVE-2031-0001")).unwrap();
    fs::write(folder.path().join("b.json"), record("CVE-2031-0001").replace("-01T", "-02T"))
        .unwrap();
    let (_, heard) = read(folder.path());
    assert_eq!(heard.ids.len(), 2);
    assert_eq!(
        heard.problems(folder.path()),
        ["b.json: another document says something else of CVE-2031-0001"]
    );
}

#[test]
fn a_digest_is_of_content_and_not_of_place() {
    let (one, two) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    for folder in [&one, &two] {
        fs::create_dir(folder.path().join("sub")).unwrap();
        fs::write(folder.path().join("sub/a.json"), record("CVE-2031-0001")).unwrap();
    }
    let digest = |path: &Path| input::digest(path).unwrap().hash;
    let bytes = record("CVE-2031-0001").len() as u64;
    assert_eq!(input::digest(one.path()).unwrap().bytes, bytes);
    assert_eq!(digest(one.path()), digest(two.path()));
    fs::rename(two.path().join("sub/a.json"), two.path().join("sub/b.json")).unwrap();
    assert_ne!(digest(one.path()), digest(two.path()));
    assert_eq!(digest(&one.path().join("sub/a.json")), digest(&two.path().join("sub/b.json")));
}

#[test]
fn what_is_no_feed_is_refused_and_told_the_feeds() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x");
    fs::write(&path, "once upon a time\n").unwrap();
    let error = read(&path).0.unwrap_err();
    assert!(matches!(error, Error::Unrecognised));
    assert!(error.to_string().contains("osv, "), "{error}");
    fs::write(&path, "").unwrap();
    assert!(matches!(read(&path).0, Err(Error::Empty)));
    assert!(matches!(read(&folder.path().join("none")).0, Err(Error::Io(_))));
    assert!(matches!(read(Path::new("/dev/null")).0, Err(Error::Special)));
}

#[test]
fn strangers_are_named_up_to_a_hundred() {
    let folder = tempfile::tempdir().unwrap();
    for number in 0..1200 {
        fs::write(folder.path().join(format!("{number:04}")), "something else").unwrap();
    }
    fs::write(folder.path().join("z.json"), record("CVE-2031-0001")).unwrap();
    let (source, heard) = read(folder.path());
    assert_eq!(source.unwrap().records, 1);
    assert_eq!(heard.problems.len(), 101);
    assert_eq!(heard.problems[100].what, "1100 more documents were passed over");
}

#[test]
fn an_archive_within_an_archive_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let inner = tempfile::NamedTempFile::new().unwrap();
    let mut builder = tar::Builder::new(inner.as_file());
    for (name, bytes) in [
        ("a.json.bz2", bzip2(record("CVE-2031-0001").as_bytes())),
        ("b.zip", zip(&[("b.json", &record("CVE-2031-0002"))])),
        ("c.tar.gz", gzip(&tar(&[("c.json", &record("CVE-2031-0003"))]))),
    ] {
        let mut header = tar::Header::new_gnu();
        header.set_size(bytes.len() as u64);
        builder.append_data(&mut header, name, bytes.as_slice()).unwrap();
    }
    builder.finish().unwrap();
    let path = folder.path().join("t");
    fs::copy(inner.path(), &path).unwrap();
    let (_, heard) = read(&path);
    assert_eq!(heard.ids, ["CVE-2031-0001"]);
    let what = "an archive within an archive is not opened: unpack it first";
    assert_eq!(
        heard.problems(folder.path()),
        [format!("t!b.zip: {what}"), format!("t!c.tar.gz: {what}")]
    );
}
