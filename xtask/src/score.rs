//! How right Muster is: the shared `score.py` compares its answers with those that others worked out, and its
//! figures are held to the golden numbers in `xtask/golden/score.toml`.
//!
//! A figure may fall short by `TOLERANCE`, for rounding. A better one is named, so that the golden number is raised.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use anyhow::{Context as _, bail};
use clap::Args;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::repository::{Repository, has_program, requires_all};

/// How far a share may fall below its golden number.
const TOLERANCE: f64 = 0.0005;
const GOLDEN: &str = "xtask/golden/score.toml";

/// What is scored.
#[derive(Args, Debug, Default)]
pub struct Options {
    /// Write the figures of this run as the golden numbers
    #[arg(long)]
    bless: bool,
    /// The executable, instead of a release build
    #[arg(long, value_name = "FILE")]
    muster: Option<PathBuf>,
}

/// Figures by name. Shares are better when larger, counts of mistakes when smaller.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Figures {
    at_least: BTreeMap<String, f64>,
    at_most: BTreeMap<String, f64>,
}

/// Scores, and compares.
pub fn run(repository: &Repository, options: &Options) -> anyhow::Result<ExitCode> {
    let missing = ["python3", "zstd"].into_iter().find(|p| !has_program(p));
    let (Some(shared), None) = (repository.shared(), missing) else {
        crate::answer(&format!("not run: needs {}\n", missing.unwrap_or("../shared")));
        return Ok(if requires_all() { ExitCode::from(1) } else { ExitCode::SUCCESS });
    };
    let muster = match &options.muster {
        Some(told) => told.clone(),
        None => repository.muster("release")?,
    };
    let figures = measure(&shared.join("data/score.py"), &muster)?;
    if options.bless {
        let text = format!(
            "# Golden numbers of `cargo xtask score`; written by `cargo xtask score --bless`.\n\n{}",
            toml::to_string(&figures.rounded())?
        );
        fs::write(repository.path(GOLDEN), text).context("cannot write the golden numbers")?;
    }
    let golden: Figures = toml::from_str(&repository.read(GOLDEN)?)
        .with_context(|| format!("cannot read {GOLDEN}"))?;
    let verdicts = compare(&golden, &figures);
    for verdict in &verdicts {
        crate::answer(&format!("{verdict}\n"));
    }
    let worse = verdicts.iter().filter(|v| v.starts_with("WORSE")).count();
    let held = figures.at_least.len() + figures.at_most.len();
    crate::answer(&format!("score: {held} figures, {worse} worse than their golden number\n"));
    Ok(if worse > 0 { ExitCode::from(1) } else { ExitCode::SUCCESS })
}

fn measure(script: &Path, muster: &Path) -> anyhow::Result<Figures> {
    let ask = |words: &[&str]| -> anyhow::Result<Value> {
        let mut run = Command::new("python3");
        run.arg(script).args(words).arg("--muster").arg(muster).args(["--format", "json"]);
        let output = run.output().context("cannot run python3")?;
        if !output.status.success() {
            bail!(
                "score.py {} failed: {}",
                words.join(" "),
                String::from_utf8_lossy(&output.stderr)
            );
        }
        serde_json::from_slice(&output.stdout)
            .with_context(|| format!("score.py {} wrote no JSON", words.join(" ")))
    };
    let mut figures = Figures::default();
    figures.add_versions(&ask(&["versions"])?);
    for set in ["open", "raw"] {
        figures.add_inspections(set, &ask(&["inspect", "--set", set])?);
    }
    figures.add_apt(&ask(&["apt"])?);
    Ok(figures)
}

fn rows(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

fn word<'a>(row: &'a Value, key: &str) -> &'a str {
    row.get(key).and_then(Value::as_str).unwrap_or_default()
}

#[expect(clippy::cast_precision_loss, reason = "counts of findings are small")]
fn size(row: &Value, key: &str) -> f64 {
    match row.get(key) {
        Some(Value::Array(list)) => list.len() as f64,
        Some(Value::Number(number)) => number.as_f64().unwrap_or_default(),
        _ => f64::NAN,
    }
}

impl Figures {
    fn add_versions(&mut self, answer: &Value) {
        for row in rows(answer) {
            for key in ["wrong", "unparsable"] {
                self.at_most
                    .insert(format!("versions {} {key}", word(row, "file")), size(row, key));
            }
        }
    }

    fn add_inspections(&mut self, set: &str, answer: &Value) {
        for family in ["debian", "ubuntu"] {
            let means = answer.get("mean").and_then(|m| m.get(family)).and_then(Value::as_object);
            for (key, value) in means.into_iter().flatten().filter(|(k, _)| *k != "hosts") {
                if family == "ubuntu" && key.starts_with("advisory") {
                    continue; // the script prints it for information only
                }
                if let Some(value) = value.as_f64() {
                    self.at_least.insert(format!("{set} {family} {key}"), value);
                }
            }
        }
        for row in answer.get("rpm").into_iter().flat_map(rows) {
            self.at_least
                .insert(format!("{set} {} offered", word(row, "host")), size(row, "offered"));
            self.at_least
                .insert(format!("{set} {} flagged", word(row, "host")), size(row, "flagged"));
        }
        self.at_most.insert(format!("{set} failed"), size(answer, "failed"));
    }

    fn add_apt(&mut self, answer: &Value) {
        for row in rows(answer) {
            for key in ["missed", "extra", "other_version", "other_pocket"] {
                self.at_most.insert(format!("apt {} {key}", word(row, "host")), size(row, key));
            }
        }
    }

    /// Shares are cut, not rounded, at four places: the next run reaches them.
    fn rounded(&self) -> Self {
        let cut = |(name, value): (&String, &f64)| (name.clone(), (value * 1e4).floor() / 1e4);
        Self { at_least: self.at_least.iter().map(cut).collect(), at_most: self.at_most.clone() }
    }
}

/// Returns a line for each figure that is not what its golden number says.
fn compare(golden: &Figures, now: &Figures) -> Vec<String> {
    let mut lines = Vec::new();
    let mut all = |golden: &BTreeMap<String, f64>, now: &BTreeMap<String, f64>, sign: f64| {
        for (name, want) in golden {
            match now.get(name) {
                None => lines.push(format!("WORSE {name}: was {want}, is not measured any more")),
                // NaN is what is not a figure: never good.
                Some(got) if got.is_nan() || (got - want) * sign < -TOLERANCE => {
                    lines.push(format!("WORSE {name}: {got:.4}, golden {want}"));
                }
                Some(got) if (got - want) * sign > TOLERANCE => {
                    lines.push(format!(
                        "better {name}: {got:.4}, golden {want}: raise the golden number"
                    ));
                }
                Some(_) => {}
            }
        }
        for name in now.keys().filter(|n| !golden.contains_key(*n)) {
            lines.push(format!(
                "new {name}: {:.4}, without a golden number",
                now.get(name).copied().unwrap_or_default()
            ));
        }
    };
    all(&golden.at_least, &now.at_least, 1.0);
    all(&golden.at_most, &now.at_most, -1.0);
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    fn figures(share: f64, mistakes: f64) -> Figures {
        Figures {
            at_least: [("open debian advisory recall".to_owned(), share)].into(),
            at_most: [("apt missed".to_owned(), mistakes)].into(),
        }
    }

    #[test]
    fn worse_fails_better_is_named_and_rounding_is_forgiven() {
        let golden = figures(0.997, 2.0);
        assert!(compare(&golden, &figures(0.9966, 2.0)).is_empty());
        assert!(compare(&golden, &figures(0.99, 2.0)).concat().starts_with("WORSE open"));
        assert!(compare(&golden, &figures(0.997, 3.0)).concat().starts_with("WORSE apt"));
        assert!(compare(&golden, &figures(f64::NAN, 2.0)).concat().starts_with("WORSE open"));
        assert!(compare(&golden, &figures(1.0, 2.0)).concat().starts_with("better open"));
        assert!(compare(&golden, &Figures::default()).iter().all(|l| l.starts_with("WORSE")));
        assert!(compare(&Figures::default(), &golden).iter().all(|l| l.starts_with("new")));
    }

    #[test]
    fn the_answers_of_the_script_become_figures() {
        let mut got = Figures::default();
        got.add_versions(&serde_json::json!([{"file": "a.txt", "wrong": 1, "unparsable": 0}]));
        got.add_inspections("raw", &serde_json::json!({"mean": {"debian": {"hosts": 6, "source recall": 0.5}, "ubuntu": null},
            "rpm": [{"host": "alma", "flagged": 4, "offered": 1.0}], "failed": [["x", 2, ""]]}));
        got.add_apt(&serde_json::json!([{"host": "h", "missed": ["a", "b"], "extra": [], "other_version": [], "other_pocket": []}]));
        assert_eq!(got.at_most.get("versions a.txt wrong"), Some(&1.0));
        assert_eq!(got.at_least.get("raw debian source recall"), Some(&0.5));
        assert_eq!(got.at_least.get("raw debian hosts"), None);
        assert_eq!(got.at_most.get("raw failed"), Some(&1.0));
        assert_eq!(got.at_most.get("apt h missed"), Some(&2.0));
    }
}
