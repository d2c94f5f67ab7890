//! The tasks behind `cargo xtask`, as a library so that its own tests reach them.

pub mod bench;
pub mod clock;
pub mod codegen;
pub mod repository;
pub mod score;
pub mod test;
pub mod tidy;

/// Writes a line for the person who ran the task.
#[expect(clippy::print_stderr, reason = "talk goes to standard error")]
pub fn say(line: std::fmt::Arguments<'_>) {
    eprintln!("{line}");
}

/// Writes an answer.
#[expect(clippy::print_stdout, reason = "data goes to standard output")]
pub fn answer(text: &str) {
    print!("{text}");
}
