//! The rules of `cargo xtask test`, so that plain `cargo test` holds them too; and each of them on a bad checkout.

use xtask::repository::Repository;
use xtask::tidy;

#[test]
fn everything_is_in_its_place() {
    let findings = tidy::check(&Repository::here()).expect("the repository can be read");
    for remark in &findings.remarks {
        println!("remark: {remark}");
    }
    let faults: Vec<_> = findings.faults.iter().map(ToString::to_string).collect();
    assert!(faults.is_empty(), "{} faults:\n{}", faults.len(), faults.join("\n"));
}
