//! Reads sources as `muster feed build` does and says what it cost: `cargo run --release --example read -- PATH…`.

use std::io::Write as _;
use std::path::Path;

use muster_core::advisory::{Item, Problem, Sink, Status};
use muster_feed::input;

/// Counts, and keeps nothing.
#[derive(Default)]
struct Count {
    items: u64,
    statements: u64,
    /// Statements bound to a module, and those of them whose stream nobody tells.
    modular: [u64; 2],
    states: std::collections::BTreeMap<Status, u64>,
    problems: Vec<Problem>,
}

impl Sink for Count {
    fn item(&mut self, item: Item<'_>) {
        self.items += 1;
        if let Item::Record(record) = item {
            self.statements += u64::try_from(record.statements.len()).unwrap_or(u64::MAX);
            for statement in record.statements {
                self.modular[0] += u64::from(statement.module.is_some());
                self.modular[1] += u64::from(statement.module.as_deref() == Some("?"));
                *self.states.entry(statement.status).or_default() += 1;
            }
        }
    }

    fn problem(&mut self, problem: Problem) {
        self.problems.push(problem);
    }
}

fn main() -> std::io::Result<()> {
    let mut out = std::io::stdout().lock();
    let terms = input::Terms { format: None, until: muster_core::time::Instant::MAX };
    for path in std::env::args().skip(1) {
        let mut count = Count::default();
        let sources = input::read(Path::new(&path), terms, &mut count, &mut |_| {});
        writeln!(
            out,
            "{sources:?}\n{} items, {} statements, {:?}",
            count.items, count.statements, count.states
        )?;
        for problem in
            count.problems.iter().take(if std::env::args().len() == 2 { 2000 } else { 20 })
        {
            writeln!(out, "  {}:{:?}: {}", problem.path, problem.line, problem.what)?;
        }
    }
    let status = std::fs::read_to_string("/proc/self/status")?;
    writeln!(out, "{}", status.lines().find(|l| l.starts_with("VmHWM")).unwrap_or_default())?;
    Ok(())
}
