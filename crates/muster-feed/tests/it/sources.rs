//! A source is the same, however it is packed and wherever it lies.

use std::fs;
use std::io::Write as _;
use std::path::Path;

use muster_feed::input::{self, Error};

use super::read;

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
    assert_eq!(heard.problems(folder.path()), ["z.txt: is not of the feed osv: passed over"]);
    assert_eq!(source.unwrap().problems, 1);
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
    let digest = |path: &Path| input::digest(path).unwrap();
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
    assert_eq!(heard.problems[100].what, "1100 more documents are not of the feed osv");
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
