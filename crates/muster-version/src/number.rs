//! Runs of ASCII digits of any length: never converted, so never overflowing.

use alloc::vec::Vec;
use core::cmp::Ordering;

/// Splits the digits off the front.
pub(crate) fn split(text: &[u8]) -> (&[u8], &[u8]) {
    let digits = text.iter().take_while(|byte| byte.is_ascii_digit()).count();
    text.split_at(digits)
}

/// Splits the digits off the front of a text.
pub(crate) fn split_str(text: &str) -> (&str, &str) {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    text.split_at(digits)
}

/// Returns the digits that count: without leading zeros, so empty for zero.
pub(crate) fn significant(mut digits: &[u8]) -> &[u8] {
    while let [b'0', rest @ ..] = digits {
        digits = rest;
    }
    digits
}

/// Orders two runs of significant digits by value.
pub(crate) fn compare(a: &[u8], b: &[u8]) -> Ordering {
    a.len().cmp(&b.len()).then_with(|| a.cmp(b))
}

/// Appends significant digits so that byte order is order by value: how many digits there are,
/// a full byte saying that more follow, then the digits.
pub(crate) fn write_key(digits: &[u8], out: &mut Vec<u8>) {
    let mut left = digits.len();
    while left >= 255 {
        out.push(255);
        left -= 255;
    }
    out.push(u8::try_from(left).expect("255 and more were taken off above"));
    out.extend_from_slice(digits);
}
