//! CVSS base scores of versions 2 and 3.x, for feeds that give a vector and no word (FIRST, CVSS v3.1 specification,
//! section 7; CVSS v2 guide, section 3.2). Version 4 is read for its vector only where a later need shows: it has no
//! closed formula, and vendors who use it give a word as well.

use crate::finding::Severity;

/// Returns the severity that a vector's base score stands for, or nothing when it is not a vector of version 2 or 3.
pub fn severity(vector: &str) -> Option<Severity> {
    let (score, second) = match vector.strip_prefix("CVSS:3") {
        Some(rest) => (base_v3(rest.get(2..)?)?, false),
        None => (base_v2(vector)?, true),
    };
    Some(match score {
        s if s >= 9.0 && !second => Severity::Critical,
        s if s >= 7.0 => Severity::High,
        s if s >= 4.0 => Severity::Medium,
        s if s > 0.0 => Severity::Low,
        _ => Severity::Negligible,
    })
}

fn metric<'a>(vector: &'a str, name: &str) -> Option<&'a str> {
    vector
        .split('/')
        .find_map(|part| part.split_once(':').filter(|(n, _)| *n == name).map(|(_, v)| v))
}

fn weight(vector: &str, name: &str, values: &[(&str, f64)]) -> Option<f64> {
    let value = metric(vector, name)?;
    values.iter().find(|(v, _)| *v == value).map(|(_, w)| *w)
}

fn base_v3(vector: &str) -> Option<f64> {
    let changed = metric(vector, "S")? == "C";
    let impacts = [("H", 0.56), ("L", 0.22), ("N", 0.0)];
    let [c, i, a] = [
        weight(vector, "C", &impacts)?,
        weight(vector, "I", &impacts)?,
        weight(vector, "A", &impacts)?,
    ];
    let privileges: &[(&str, f64)] = if changed {
        &[("N", 0.85), ("L", 0.68), ("H", 0.5)]
    } else {
        &[("N", 0.85), ("L", 0.62), ("H", 0.27)]
    };
    let exploitability = 8.22
        * weight(vector, "AV", &[("N", 0.85), ("A", 0.62), ("L", 0.55), ("P", 0.2)])?
        * weight(vector, "AC", &[("L", 0.77), ("H", 0.44)])?
        * weight(vector, "PR", privileges)?
        * weight(vector, "UI", &[("N", 0.85), ("R", 0.62)])?;
    let sub = 1.0 - (1.0 - c) * (1.0 - i) * (1.0 - a);
    let impact =
        if changed { 7.52 * (sub - 0.029) - 3.25 * power(sub - 0.02, 15) } else { 6.42 * sub };
    if impact <= 0.0 {
        return Some(0.0);
    }
    let sum = impact + exploitability;
    Some(round_up(if changed { 1.08 * sum } else { sum }.min(10.0)))
}

fn base_v2(vector: &str) -> Option<f64> {
    let impacts = [("N", 0.0), ("P", 0.275), ("C", 0.66)];
    let [c, i, a] = [
        weight(vector, "C", &impacts)?,
        weight(vector, "I", &impacts)?,
        weight(vector, "A", &impacts)?,
    ];
    let impact = 10.41 * (1.0 - (1.0 - c) * (1.0 - i) * (1.0 - a));
    let exploitability = 20.0
        * weight(vector, "AV", &[("L", 0.395), ("A", 0.646), ("N", 1.0)])?
        * weight(vector, "AC", &[("H", 0.35), ("M", 0.61), ("L", 0.71)])?
        * weight(vector, "Au", &[("M", 0.45), ("S", 0.56), ("N", 0.704)])?;
    let factor = if impact == 0.0 { 0.0 } else { 1.176 };
    Some((0.6 * impact + 0.4 * exploitability - 1.5) * factor)
}

fn power(base: f64, exponent: u32) -> f64 {
    (0..exponent).fold(1.0, |product, _| product * base)
}

/// Rounds up to one decimal, as appendix A of the v3.1 specification has it.
#[expect(clippy::cast_possible_truncation, reason = "a score times 100,000 fits in 64 bits")]
fn round_up(score: f64) -> f64 {
    let whole = (score * 100_000.0 + 0.5) as i64;
    let tenths = if whole % 10_000 == 0 { whole / 10_000 } else { whole / 10_000 + 1 };
    f64::from(i32::try_from(tenths).unwrap_or(0)) / 10.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn vectors_score_as_their_publishers_print_them() {
        for (vector, score) in [
            ("/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H", 9.8),
            ("/AV:L/AC:H/PR:L/UI:N/S:U/C:H/I:N/A:N", 4.7),
            ("/AV:N/AC:L/PR:L/UI:R/S:C/C:L/I:L/A:N", 5.4),
            ("/AV:N/AC:L/PR:N/UI:N/S:C/C:H/I:H/A:H", 10.0),
            ("/AV:N/AC:L/PR:N/UI:N/S:U/C:N/I:N/A:N", 0.0),
        ] {
            let got = base_v3(vector).unwrap();
            assert!((got - score).abs() < 0.01, "{vector}: {got}");
        }
        assert_eq!(
            severity("CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H"),
            Some(Severity::Critical)
        );
        assert_eq!(severity("AV:N/AC:L/Au:N/C:P/I:P/A:P"), Some(Severity::High));
        assert_eq!(severity("CVSS:4.0/AV:N/AC:H"), None);
        assert_eq!(severity("CVSS:3"), None);
    }
}
