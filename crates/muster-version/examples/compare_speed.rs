//! Prints what one comparison costs, directly and by keys, over realistic Debian versions; and
//! directly for every other scheme. Run it in a release build.

use std::hint::black_box;
use std::time::Duration;

use muster_version::{DpkgVersion, Scheme};

/// Installed and fixed versions as Debian and Ubuntu servers and notices have them.
const DPKG: [(&str, &str); 12] = [
    ("2.36-9+deb12u4", "2.36-9+deb12u7"),
    ("1:9.2p1-2+deb12u2", "1:9.2p1-2+deb12u3"),
    ("5.10.197-1", "5.10.205-2"),
    ("7.88.1-10+deb12u5", "7.88.1-10+deb12u12"),
    ("2:8.2.2434-3+deb11u1", "2:8.2.2434-3+deb11u3"),
    ("1.1.1n-0+deb11u5", "1.1.1w-0+deb11u2"),
    ("252.22-1~deb12u1", "252.38-1~deb12u1"),
    ("6.2.0-37.38~22.04.1", "6.2.0-39.40~22.04.1"),
    ("5.34.0-3ubuntu1.3", "5.34.0-3ubuntu1.3"),
    ("1.2.3~rc1-1ubuntu0.22.04.1~esm2", "1.2.3~rc1-1ubuntu0.22.04.2"),
    ("4.18.0+dfsg-1+b1", "4.18.0+dfsg-1+deb12u1"),
    ("20230311ubuntu0.22.04.1", "20240203~22.04.1"),
];

const OTHERS: [(Scheme, &str, &str); 9] = [
    (Scheme::Rpm, "1:1.1.1k-9.el8_7", "1:1.1.1k-12.el8_9"),
    (Scheme::Apk, "1.36.1-r15", "1.36.1-r19"),
    (Scheme::Semver, "1.20.3-rc.1", "1.20.3-rc.2"),
    (Scheme::Npm, "4.17.20", "4.17.21"),
    (Scheme::Pep440, "2.28.1", "2.28.2.post1"),
    (Scheme::Composer, "v6.5.0-beta1", "v6.5.0-RC1"),
    (Scheme::RubyGems, "6.1.7.3", "6.1.7.10"),
    (Scheme::Maven, "2.13.4.1", "2.13.4.2"),
    (Scheme::Golang, "0.0.0-20210101000000-abcdef123456", "0.17.0"),
];

const ROUNDS: u32 = 300_000;

#[expect(clippy::disallowed_methods, reason = "measuring is what this program is for")]
fn elapsed(work: impl FnOnce()) -> Duration {
    let start = std::time::Instant::now();
    work();
    start.elapsed()
}

#[expect(clippy::print_stdout, reason = "an example prints its figures")]
fn report(what: &str, comparisons: u32, taken: Duration) {
    println!("{what:32}{:7.1} ns", taken.as_secs_f64() * 1e9 / f64::from(comparisons));
}

fn main() {
    let count = u32::try_from(DPKG.len()).expect("a dozen pairs") * ROUNDS;
    let mut sum = 0;
    let taken = elapsed(|| {
        for _ in 0..ROUNDS {
            for (a, b) in &DPKG {
                sum += i32::from(Scheme::Dpkg.compare(black_box(a), black_box(b)).is_some());
            }
        }
    });
    report("dpkg, from two texts", count, taken);

    let parse = |text| DpkgVersion::parse(text).expect("these are versions");
    let parsed = DPKG.map(|(a, b)| (parse(a), parse(b)));
    let taken = elapsed(|| {
        for _ in 0..ROUNDS {
            for (a, b) in &parsed {
                sum += black_box(a).cmp(black_box(b)) as i32;
            }
        }
    });
    report("dpkg, from two parsed", count, taken);

    let key = |text| {
        let mut key = Vec::new();
        Scheme::Dpkg.write_key(text, &mut key).expect("these are versions");
        key
    };
    let keys = DPKG.map(|(a, b)| (key(a), key(b)));
    let taken = elapsed(|| {
        for _ in 0..ROUNDS {
            for (a, b) in &keys {
                sum += black_box(a.as_slice()).cmp(black_box(b.as_slice())) as i32;
            }
        }
    });
    report("dpkg, from two keys", count, taken);
    let bytes: usize = keys.iter().map(|(a, b)| a.len() + b.len()).sum();
    report_length(bytes, keys.len() * 2);

    for (scheme, a, b) in OTHERS {
        let taken = elapsed(|| {
            for _ in 0..ROUNDS {
                sum += i32::from(scheme.compare(black_box(a), black_box(b)).is_some());
            }
        });
        report(&format!("{scheme}, from two texts"), ROUNDS, taken);
    }
    black_box(sum);
}

#[expect(clippy::print_stdout, reason = "an example prints its figures")]
fn report_length(bytes: usize, keys: usize) {
    println!("{:32}{:7} bytes a key", "", bytes / keys);
}
