//! The layout of the compiled advisory file, version 1. All numbers are little-endian; docs/reference/advisory-file.md
//! shows it whole.
//!
//! ```text
//! magic 8 │ version u32 │ entries u32 │ names u32 │ reserved u32 │ built i64 │ entries × 64 │ names │ blake3 of all that, 32
//! entry: kind u32 │ name offset u32 │ name length u32 │ count u32 │ offset u64 │ length u64 │ blake3 of the section 32
//! ```

use muster_core::advisory::Status;

/// The first bytes of every compiled advisory file.
pub(crate) const MAGIC: [u8; 8] = *b"MUSTERAD";
/// The version of the layout that is written, and the only one that is read.
pub(crate) const VERSION: u32 = 1;
/// Bytes before the entries.
pub(crate) const PREFIX: usize = 32;
/// Bytes of an entry.
pub(crate) const ENTRY: usize = 64;
/// Bytes of a digest.
pub(crate) const DIGEST: usize = 32;
/// The largest header that is read: more is no file of ours.
pub(crate) const MAX_HEADER: u64 = 4 << 20;
/// The largest release section or index that is read into memory.
pub(crate) const MAX_SECTION: u64 = 64 << 20;
/// The largest unpacked block of records.
pub(crate) const MAX_BLOCK: usize = 48 << 20;

/// Statuses in the order in which groups number them.
pub(crate) const STATUSES: [Status; 11] = [
    Status::Affected,
    Status::Fixed,
    Status::Needed,
    Status::NeedsTriage,
    Status::Pending,
    Status::Deferred,
    Status::Ignored,
    Status::EndOfLife,
    Status::NotAffected,
    Status::DoesNotExist,
    Status::Undetermined,
];

/// What a section holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    /// What matching reads for one release.
    Release = 1,
    /// What the file was compiled from.
    Provenance = 2,
    /// Where the records of an id lie.
    Index = 3,
    /// The records, in compressed blocks.
    Records = 4,
    /// The calendar lines of the feeds.
    Calendar = 5,
}

impl Kind {
    pub(crate) fn from_number(number: u32) -> Option<Self> {
        [Self::Release, Self::Provenance, Self::Index, Self::Records, Self::Calendar]
            .into_iter()
            .find(|k| *k as u32 == number)
    }
}

/// No value, in a table of 16-bit numbers.
pub(crate) const NONE16: u16 = u16::MAX;

/// A table of entries of `W` bytes each.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Table<'a, const W: usize> {
    bytes: &'a [u8],
}

impl<'a, const W: usize> Table<'a, W> {
    /// Takes the first `count` entries off `rest`.
    pub(crate) fn take(rest: &mut &'a [u8], count: u32) -> Option<Self> {
        let length = usize::try_from(count).ok()?.checked_mul(W)?;
        let (bytes, after) = rest.split_at_checked(length)?;
        *rest = after;
        Some(Self { bytes })
    }

    pub(crate) fn len(&self) -> usize {
        self.bytes.len() / W
    }

    pub(crate) fn get(&self, index: usize) -> Option<&'a [u8; W]> {
        let start = index.checked_mul(W)?;
        self.bytes.get(start..start.checked_add(W)?)?.try_into().ok()
    }
}

/// A table of numbers below a bound that the reader knows: two bytes each as long as two can hold them, else three.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Numbers<'a> {
    bytes: &'a [u8],
    width: usize,
}

/// Returns how many bytes a number below `bound` takes.
pub(crate) fn width_below(bound: usize) -> usize {
    if bound <= 1 << 16 { 2 } else { 3 }
}

impl<'a> Numbers<'a> {
    /// Takes `count` numbers below `bound` off `rest`.
    pub(crate) fn take(rest: &mut &'a [u8], count: u32, bound: u32) -> Option<Self> {
        let width = width_below(usize::try_from(bound).ok()?);
        let length = usize::try_from(count).ok()?.checked_mul(width)?;
        let (bytes, after) = rest.split_at_checked(length)?;
        *rest = after;
        Some(Self { bytes, width })
    }

    pub(crate) fn len(&self) -> usize {
        self.bytes.len() / self.width
    }

    /// Returns the numbers from `start` to before `end`; none where there are no such places.
    pub(crate) fn range(&self, start: u32, end: u32) -> impl Iterator<Item = u32> + use<'a> {
        let width = self.width;
        let at = |n: u32| usize::try_from(n).ok()?.checked_mul(width);
        let bytes = at(start).zip(at(end)).and_then(|(start, end)| self.bytes.get(start..end));
        bytes.unwrap_or_default().chunks_exact(width).map(|number| match *number {
            [a, b] => u32::from(u16::from_le_bytes([a, b])),
            [a, b, c] => u32::from_le_bytes([a, b, c, 0]),
            _ => 0,
        })
    }
}

/// Reads the number at `at`; a place outside reads as 0, which no valid file holds there.
pub(crate) fn u16_at(bytes: &[u8], at: usize) -> u16 {
    bytes.get(at..).and_then(|b| b.first_chunk()).map_or(0, |b| u16::from_le_bytes(*b))
}

/// As [`u16_at`], for 32 bits.
pub(crate) fn u32_at(bytes: &[u8], at: usize) -> u32 {
    bytes.get(at..).and_then(|b| b.first_chunk()).map_or(0, |b| u32::from_le_bytes(*b))
}

/// As [`u16_at`], for 24 bits.
pub(crate) fn u24_at(bytes: &[u8], at: usize) -> u32 {
    let number = bytes.get(at..).and_then(|b| b.first_chunk());
    number.map_or(0, |&[a, b, c]| u32::from_le_bytes([a, b, c, 0]))
}

/// As [`u16_at`], for 64 bits.
pub(crate) fn u64_at(bytes: &[u8], at: usize) -> u64 {
    bytes.get(at..).and_then(|b| b.first_chunk()).map_or(0, |b| u64::from_le_bytes(*b))
}

/// An advisory's id in four bytes: `CVE-year-number` as two numbers, anything else as a place in the table of words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PackedId {
    Cve { year: u32, number: u32 },
    Word(u32),
}

/// The first year that seven bits number.
const FIRST_YEAR: u32 = 1990;
const IS_CVE: u32 = 1 << 31;
const NUMBER: u32 = (1 << 24) - 1;

impl PackedId {
    /// Packs a CVE id if unpacking gives the same text again.
    pub(crate) fn cve(id: &str) -> Option<Self> {
        let (year, number) = id.strip_prefix("CVE-")?.split_once('-')?;
        let digits = |s: &str| !s.is_empty() && s.bytes().all(|b| b.is_ascii_digit());
        if year.len() != 4
            || !digits(year)
            || !digits(number)
            || number.len() < 4
            || (number.len() > 4 && number.starts_with('0'))
        {
            return None;
        }
        let (year, number) = (year.parse().ok()?, number.parse().ok()?);
        let fits = (FIRST_YEAR..FIRST_YEAR + 128).contains(&year) && number <= NUMBER;
        fits.then_some(Self::Cve { year, number })
    }

    pub(crate) fn write(self) -> u32 {
        match self {
            Self::Cve { year, number } => IS_CVE | (year - FIRST_YEAR) << 24 | number,
            Self::Word(index) => index & !IS_CVE,
        }
    }

    pub(crate) fn read(packed: u32) -> Self {
        if packed & IS_CVE == 0 {
            return Self::Word(packed);
        }
        Self::Cve { year: FIRST_YEAR + (packed >> 24 & 0x7f), number: packed & NUMBER }
    }
}

/// Days are counted from 1990-01-01 in 16 bits; 0 is none.
const FIRST_DAY: i32 = 7305;

pub(crate) fn pack_day(day: Option<muster_core::time::Date>) -> u16 {
    day.and_then(|d| u16::try_from(muster_core::time::to_day_number(d) - FIRST_DAY).ok())
        .unwrap_or(0)
}

pub(crate) fn unpack_day(day: u16) -> Option<muster_core::time::Date> {
    if day == 0 { None } else { muster_core::time::from_day_number(i32::from(day) + FIRST_DAY) }
}

/// A likelihood of 0 to 1 in 16 bits; `NONE16` is none.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "clamped to the range of 16 bits"
)]
pub(crate) fn pack_likelihood(score: Option<f32>) -> u16 {
    score.map_or(NONE16, |s| (s.clamp(0.0, 1.0) * 65_000.0).round() as u16)
}

pub(crate) fn unpack_likelihood(packed: u16) -> Option<f32> {
    (packed != NONE16).then(|| (f32::from(packed) / 65_000.0 * 1e5).round() / 1e5)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_comes_back_as_it_went_in() {
        for id in ["CVE-2024-0001", "CVE-1990-1572", "CVE-2117-9999", "CVE-2026-16777215"] {
            let PackedId::Cve { year, number } = PackedId::read(PackedId::cve(id).unwrap().write())
            else {
                panic!("{id}")
            };
            assert_eq!(format!("CVE-{year}-{number:04}"), id);
        }
        for id in [
            "CVE-2024-01",
            "CVE-2024-00001",
            "CVE-2023-XXXX",
            "DSA-1-1",
            "CVE-20240-0001",
            "CVE-1989-0001",
            "CVE-2118-0001",
            "CVE-2026-16777216",
        ] {
            assert!(PackedId::cve(id).is_none(), "{id}");
        }
        let word = PackedId::Word(77);
        assert_eq!(PackedId::read(word.write()), word);
    }

    #[test]
    fn numbers_are_as_wide_as_they_must_be() {
        let bytes = [1, 0, 2, 0, 0xff, 0xff, 9];
        for (bound, left, wanted) in
            [(1 << 16, 3, [1, 2]), ((1 << 16) + 1, 1, [0x02_0001, 0xff_ff00])]
        {
            let mut rest = &bytes[..];
            let numbers = Numbers::take(&mut rest, 2, bound).unwrap();
            assert_eq!((numbers.len(), rest.len()), (2, left));
            assert_eq!(numbers.range(0, 2).collect::<Vec<_>>(), wanted);
            for (start, end) in [(1, 3), (2, 1), (u32::MAX, u32::MAX)] {
                assert_eq!(numbers.range(start, end).count(), 0, "{start}..{end}");
            }
            assert!(Numbers::take(&mut &bytes[..], 4, bound).is_none());
        }
    }

    #[test]
    fn a_day_and_a_likelihood_survive() {
        let day = muster_core::time::Date::constant(2026, 11, 23);
        assert_eq!(unpack_day(pack_day(Some(day))), Some(day));
        assert_eq!(unpack_day(pack_day(None)), None);
        assert_eq!(unpack_likelihood(pack_likelihood(Some(0.94355))), Some(0.94355));
        assert_eq!(unpack_likelihood(pack_likelihood(None)), None);
    }
}
