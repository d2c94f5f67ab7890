//! A tar of a root: being written.

use super::{Content, Entry, Pattern, Root};
use muster_core::fact::Reading;
use std::fs::File;

/// What was given is no tar.
#[derive(Debug)]
pub struct NotTar(pub String);

/// What inspectors need of a tar.
pub struct Tar {}

impl Tar {
    pub(crate) fn read(
        _file: File,
        _patterns: Vec<Vec<Pattern>>,
        _running: bool,
    ) -> Result<Self, NotTar> {
        Err(NotTar(String::from("tars are not read yet")))
    }

    pub(crate) fn take_obstacles(&mut self) -> Vec<muster_core::fact::Obstacle> {
        Vec::new()
    }
}

impl Root for Tar {
    fn live(&self) -> bool {
        false
    }
    fn open(&self, _path: &str) -> Reading<Box<dyn Content>> {
        Reading::Absent
    }
    fn list(&self, _path: &str) -> Reading<Vec<Entry>> {
        Reading::Absent
    }
    fn link(&self, _path: &str) -> Reading<String> {
        Reading::Absent
    }
}
