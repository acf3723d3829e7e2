//! What goes to standard output: JSON objects, one a line, or text for people.

use crate::arguments::Common;
use serde::Serialize;
use std::io::{self, Write};

/// Prints an object on a line of its own.
pub fn json(value: &impl Serialize) -> io::Result<()> {
    let mut line = serde_json::to_vec(value)?;
    line.push(b'\n');
    let mut out = io::stdout().lock();
    out.write_all(&line)?;
    out.flush()
}

/// Prints text as it is.
pub fn text(text: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes())?;
    out.flush()
}

/// Prints the object for machines, or the text for people.
pub fn either(common: &Common, value: &impl Serialize, people: impl FnOnce() -> String) -> io::Result<()> {
    match common.json {
        true => json(value),
        false => text(&people()),
    }
}
