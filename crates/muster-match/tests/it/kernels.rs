//! Running, installed, next boot; signed images; headers; lines without a future.

use muster_core::advisory::Status;
use muster_core::fact::{Facts, Reading};
use muster_core::finding::{About, KernelObject};

use super::{Compiled, about, cve, fixed, server, unfixed};

const R: &str = "debian:12";

fn running(facts: Facts, release: &str) -> Facts {
    let mut facts = facts;
    facts.kernels.running = Reading::Found(release.into());
    facts
}

#[test]
fn a_signed_image_is_judged_as_the_kernel_it_holds() {
    let compiled = Compiled::of(vec![cve("CVE-2024-0001", vec![fixed(R, "linux", "6.1.90-1")])]);
    let facts = server(&[
        "linux-image-6.1.0-18-amd64 6.1.76-1 linux-signed-amd64 6.1.76+1",
        "linux-image-amd64 6.1.76-1 linux-signed-amd64 6.1.76+1",
    ]);
    let findings = compiled.findings(R, &facts);
    assert_eq!(findings.len(), 1);
    let finding = about(&findings[0]);
    assert_eq!(
        (&*finding.patch.source, finding.patch.kernel, &finding.patch.of[..]),
        ("linux", true, &[KernelObject::Installed][..])
    );
    assert_eq!(finding.patch.packages.len(), 1, "the meta package holds no kernel");
}

#[test]
fn headers_are_no_kernel() {
    let compiled = Compiled::of(vec![cve("CVE-2024-0001", vec![fixed(R, "linux", "6.1.90-1")])]);
    let findings = compiled.findings(R, &server(&["linux-libc-dev 6.1.76-1 linux"]));
    let finding = about(&findings[0]);
    assert!(finding.patch.headers_only && !finding.patch.kernel && finding.patch.of.is_empty());
}

#[test]
fn a_new_kernel_that_does_not_run_yet_is_owed_a_reboot() {
    let compiled = Compiled::of(vec![cve("CVE-2024-0001", vec![fixed(R, "linux", "6.1.90-1")])]);
    let facts = server(&[
        "linux-image-6.1.0-18-amd64 6.1.76-1 linux-signed-amd64 6.1.76+1",
        "linux-image-6.1.0-21-amd64 6.1.90-1 linux-signed-amd64 6.1.90+1",
    ]);
    let findings = compiled.findings(R, &running(facts, "6.1.0-18-amd64"));
    assert_eq!(*about(&findings[0]).patch.of, [KernelObject::Running]);
    assert_eq!(&*findings[0].action, "reboot into the kernel that is installed");
}

#[test]
fn an_old_image_that_is_only_left_over_does_not_count() {
    let compiled = Compiled::of(vec![cve("CVE-2024-0001", vec![fixed(R, "linux", "6.1.90-1")])]);
    let facts = server(&[
        "linux-image-6.1.0-18-amd64 6.1.76-1 linux-signed-amd64 6.1.76+1",
        "linux-image-6.1.0-21-amd64 6.1.90-1 linux-signed-amd64 6.1.90+1",
    ]);
    let verdicts: Vec<&str> = compiled
        .findings(R, &running(facts, "6.1.0-21-amd64"))
        .iter()
        .map(|f| f.verdict.name())
        .collect();
    assert_eq!(verdicts, ["fixed"]);
}

#[test]
fn a_superseded_line_names_the_living_one() {
    let release = "ubuntu:22.04";
    let word = |package, word| unfixed(release, package, Status::EndOfLife, word);
    let compiled = Compiled::of(vec![cve(
        "CVE-2024-0001",
        vec![
            word("linux-hwe-5.19", "ignored (superseded by linux-hwe-6.2)"),
            word("linux-hwe-6.2", "ignored (superseded by linux-hwe-6.5, was needs-triage)"),
            unfixed(release, "linux-hwe-6.5", Status::Needed, "needed"),
        ],
    )]);
    let facts =
        server(&["linux-image-5.19.0-50-generic 5.19.0-50.50 linux-signed-hwe-5.19 5.19.0-50.50"]);
    let findings = compiled.findings(release, &facts);
    let lines = findings.iter().filter_map(|finding| match &finding.about {
        About::KernelLine(line) => Some(line),
        _ => None,
    });
    let [line] = lines.collect::<Vec<_>>()[..] else { panic!("{findings:?}") };
    assert_eq!(
        (line.line.as_str(), line.successor.as_deref()),
        ("linux-hwe-5.19", Some("linux-hwe-6.5"))
    );
    assert_eq!(compiled.verdicts(release, &facts), ["CVE-2024-0001 linux-hwe-5.19 end-of-support"]);
}
