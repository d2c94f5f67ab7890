//! x
#[derive(clap::Args, Debug)]
pub struct Options {}
pub fn run(
    _: &crate::repository::Repository,
    _c: &Options,
) -> anyhow::Result<std::process::ExitCode> {
    Ok(std::process::ExitCode::SUCCESS)
}
