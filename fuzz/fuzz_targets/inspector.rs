//! Runs one inspector under the fuzzer: the one that the target is named for (`inspector_…` in the manifest).
#![no_main]

#[path = "../entries.rs"]
#[allow(dead_code, reason = "each target calls one of them")]
mod entries;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let target = env!("CARGO_BIN_NAME");
    let name = target.strip_prefix("inspector_").unwrap_or(target).replace('_', "-");
    entries::inspector(&name, bytes);
});
