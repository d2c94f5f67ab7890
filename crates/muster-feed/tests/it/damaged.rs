//! What is cut, overwritten or made to harm gives problems, within bounds.

use std::fs;
use std::io::Write as _;

use muster_feed::input::Error;
use proptest::prelude::{any, proptest};

use super::read;

const RECORD: &str = "{\"id\":\"CVE-2031-0001\",\"modified\":\"2031-01-01T00:00:00Z\"}\n";

fn zip_of(files: &[(&str, &str)]) -> Vec<u8> {
    let mut writer = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    let stored =
        zip::write::SimpleFileOptions::default().compression_method(zip::CompressionMethod::Stored);
    for (name, content) in files {
        writer.start_file(*name, stored).unwrap();
        writer.write_all(content.as_bytes()).unwrap();
    }
    writer.finish().unwrap().into_inner()
}

#[test]
fn a_member_with_a_wrong_checksum_is_named_and_the_next_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("all.zip");
    let second = RECORD.replace("0001", "0002");
    let mut bytes = zip_of(&[("a.json", RECORD), ("b.json", &second)]);
    let at = bytes.windows(4).position(|w| w == b"0001").unwrap();
    bytes[at] = b'7';
    fs::write(&path, &bytes).unwrap();
    let (source, heard) = read(&path);
    assert_eq!(source.unwrap().format, "osv");
    assert!(heard.ids.contains(&"CVE-2031-0002".to_owned()));
    let problems = heard.problems(folder.path());
    assert_eq!(problems.len(), 1, "{problems:?}");
    assert!(problems[0].starts_with("all.zip!a.json"), "{problems:?}");
}

#[test]
fn a_cut_archive_says_so_and_what_came_before_counts() {
    let folder = tempfile::tempdir().unwrap();
    let mut builder = tar::Builder::new(Vec::new());
    for name in ["a.json", "b.json"] {
        let mut header = tar::Header::new_gnu();
        header.set_size(RECORD.len() as u64);
        let record = RECORD.replace("0001", if name == "a.json" { "0001" } else { "0002" });
        builder.append_data(&mut header, name, record.as_bytes()).unwrap();
    }
    let tar = builder.into_inner().unwrap();
    let path = folder.path().join("x.tar");
    fs::write(&path, &tar[..1024 + 512 + 20]).unwrap();
    let (_, heard) = read(&path);
    assert_eq!(heard.ids, ["CVE-2031-0001"]);
    let problems = heard.problems(folder.path());
    assert!(problems.iter().any(|p| p.contains("the archive is cut short")), "{problems:?}");

    let packed = zstd::encode_all(tar.as_slice(), 1).unwrap();
    fs::write(&path, &packed[..packed.len() / 2]).unwrap();
    assert!(matches!(read(&path).0, Err(Error::Damaged(_))));
}

#[test]
fn a_bomb_is_stopped() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("bomb");
    let mut encoder = zstd::Encoder::new(fs::File::create(&path).unwrap(), 1).unwrap();
    encoder.write_all(RECORD.as_bytes()).unwrap();
    encoder.write_all(b"\n").unwrap();
    for _ in 0..1024 {
        encoder.write_all(&[b'\n'; 1 << 18]).unwrap();
    }
    encoder.finish().unwrap();
    let (source, heard) = read(&path);
    assert_eq!(source.unwrap().records, 1);
    let problems = heard.problems(folder.path());
    assert_eq!(problems.len(), 1, "{problems:?}");
    assert!(problems[0].ends_with("it unpacks to more than 500 times its size"), "{problems:?}");
}

#[test]
fn a_clock_that_stands_before_all_records_is_doubted() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.ndjson");
    let records = |count: u32, year: u32| -> String {
        (0..count)
            .map(|n| {
                RECORD
                    .replace("0001", &format!("{year}-{n}"))
                    .replace("2031-01-01", &format!("{year}-01-01"))
            })
            .collect()
    };
    fs::write(&path, records(3, 2999) + &records(1, 2031)).unwrap();
    let (source, heard) = read(&path);
    assert_eq!(source.unwrap().newest, "2031-01-01T00:00:00Z".parse().ok());
    let problems = heard.problems(folder.path());
    assert_eq!(problems.len(), 3);
    assert!(
        problems[1].starts_with("a.ndjson:2: CVE-2031-2999-1: modified at 2999-01-01"),
        "{problems:?}"
    );
    fs::write(&path, records(101, 2999) + &records(100, 2031)).unwrap();
    let error = read(&path).0.unwrap_err();
    assert!(matches!(error, Error::Future(101)), "{error}");
}

#[test]
fn problems_without_end_are_counted_and_not_kept() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.ndjson");
    fs::write(&path, RECORD.to_owned() + &"GARBAGE\n".repeat(12_000)).unwrap();
    let (source, heard) = read(&path);
    assert_eq!(source.unwrap().problems, 12_000);
    assert_eq!(heard.problems.len(), 10_001);
    assert_eq!(heard.problems[10_000].what, "2000 more problems");
}

proptest! {
    #[test]
    fn noise_in_an_archive_never_panics(
        noise: Vec<u8>,
        at in any::<proptest::sample::Index>(),
        kind in 0_usize..5,
    ) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x");
        let plain = RECORD.repeat(9);
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        gzip.write_all(plain.as_bytes()).unwrap();
        let mut bytes = match kind {
            0 => zip_of(&[("a.json", RECORD), ("b.json", RECORD)]),
            1 => zstd::encode_all(plain.as_bytes(), 1).unwrap(),
            2 => gzip.finish().unwrap(),
            3 => {
                let mut xz = liblzma::write::XzEncoder::new(Vec::new(), 0);
                xz.write_all(plain.as_bytes()).unwrap();
                xz.finish().unwrap()
            }
            _ => {
                let mut bz = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::fast());
                bz.write_all(plain.as_bytes()).unwrap();
                bz.finish().unwrap()
            }
        };
        let at = at.index(bytes.len());
        for (old, new) in bytes.iter_mut().skip(at).zip(&noise) {
            *old = *new;
        }
        fs::write(&path, &bytes).unwrap();
        drop(read(&path));
        fs::write(&path, &noise).unwrap();
        drop(read(&path));
    }
}
