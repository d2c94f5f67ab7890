//! `muster ssh-key`: the lines that let a key inspect a server over SSH, and do nothing else there.

use std::io::Write as _;

use anyhow::{Context as _, bail};
use muster_inspect::root;

use super::Answer;
use crate::args::SshKey;
use crate::output;

/// What stands where a key was not given.
const PLACE: &str = "PUBLIC-KEY";

pub(crate) fn run(asked: &SshKey) -> anyhow::Result<Answer> {
    let mut out = output::data()?;
    if asked.script {
        writeln!(out, "{}", root::script())?;
        out.flush()?;
        return Ok(Answer::Good);
    }
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
    if asked.user.is_empty() || asked.user.starts_with('-') || !asked.user.chars().all(is_plain) {
        bail!("{:?} is no name of an account", asked.user);
    }
    let key = match &asked.key {
        Some(path) => {
            let text = std::fs::read_to_string(path)
                .with_context(|| format!("reading the public key {}", path.display()))?;
            public_key(&text)
                .with_context(|| format!("{} is no public key of OpenSSH", path.display()))?
        }
        None => PLACE.to_owned(),
    };
    writeln!(out, "{}", root::key_line(&key, asked.sudo))?;
    if asked.sudo {
        writeln!(out, "{}", root::sudoers_line(&asked.user))?;
    }
    out.flush()?;
    Ok(Answer::Good)
}

/// Returns the one line of a public key, which has neither options nor a private part.
fn public_key(text: &str) -> Option<String> {
    let mut lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    let line = lines.next().filter(|_| lines.next().is_none())?;
    let mut words = line.split_whitespace();
    let (kind, key) = (words.next()?, words.next()?);
    let is_kind = ["ssh-", "ecdsa-", "sk-"].iter().any(|start| kind.starts_with(start));
    let is_key = key.bytes().all(|b| b.is_ascii_alphanumeric() || b"+/=".contains(&b));
    (is_kind && is_key && !line.contains(char::is_control)).then(|| line.to_owned())
}
