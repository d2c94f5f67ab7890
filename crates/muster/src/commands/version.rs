//! `muster version compare`: the order of versions, one pair or a line each.

use std::cmp::Ordering;
use std::io::{BufRead as _, Write as _};

use anyhow::{Context as _, bail};
use muster_version::Scheme;

use super::Answer;

/// The longest line that is read: no version comes near it.
const MAX_LINE: usize = 1 << 20;

pub(crate) fn compare(scheme: Scheme, a: &str, b: Option<&str>) -> anyhow::Result<Answer> {
    match b {
        Some(b) => {
            let Some(order) = scheme.compare(a, b) else {
                let wrong = if scheme.is_valid(a) { b } else { a };
                bail!("{wrong:?} is not a version of the scheme {scheme}");
            };
            writeln!(std::io::stdout(), "{}", sign(order))?;
            Ok(Answer::Good)
        }
        None if a == "-" => compare_lines(scheme),
        None => bail!(
            "compare {a:?} with what? give two versions, or - for lines of A<TAB>B on standard input"
        ),
    }
}

fn compare_lines(scheme: Scheme) -> anyhow::Result<Answer> {
    let mut out = crate::output::data()?;
    let mut input = std::io::stdin().lock();
    let (mut line, mut number, mut refused) = (Vec::new(), 0_u64, 0_u64);
    loop {
        line.clear();
        let taken = std::io::Read::take(&mut input, MAX_LINE as u64)
            .read_until(b'\n', &mut line)
            .context("reading standard input")?;
        if taken == 0 {
            break;
        }
        number += 1;
        let whole = line.len() < MAX_LINE || line.ends_with(b"\n");
        if !whole {
            input.skip_until(b'\n').context("reading standard input")?;
        }
        let text = String::from_utf8_lossy(line.strip_suffix(b"\n").unwrap_or(&line));
        let pair = text.split_once('\t').filter(|_| whole);
        let order = pair.and_then(|(a, b)| scheme.compare(a, b));
        if order.is_none() {
            refused += 1;
            let shown: String = text.chars().take(200).collect();
            crate::output::note(&format!(
                "line {number}: {shown:?} is not a pair of versions of the scheme {scheme}"
            ));
        }
        writeln!(out, "{}", order.map_or('?', sign))?;
    }
    out.flush()?;
    Ok(if refused == 0 { Answer::Good } else { Answer::Unanswered })
}

fn sign(order: Ordering) -> char {
    match order {
        Ordering::Less => '<',
        Ordering::Equal => '=',
        Ordering::Greater => '>',
    }
}
