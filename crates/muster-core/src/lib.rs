//! The vocabulary and the decisions of Muster.
//!
//! What was learned of a server ([`fact`]), what vendors said of their packages ([`advisory`]), what follows from
//! the two ([`verdict`], [`finding`]), and what the world's distributions are ([`catalog`]). It reads no file, opens
//! no socket and asks no clock: what it needs is handed in, what it concludes is handed back.

#![no_std]
#![warn(missing_docs)]

extern crate alloc;

pub mod action;
pub mod advisory;
pub mod application;
pub mod catalog;
pub mod container;
pub mod cvss;
pub mod fact;
pub mod finding;
pub mod kernel;
pub mod owed;
pub mod running;
pub mod text;
pub mod time;
pub mod verdict;
