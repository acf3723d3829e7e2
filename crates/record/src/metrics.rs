//! `metrics.jsonl`: one JSON object a line, with a `step` in each.

use crate::error::{Error, Result};
use crate::files::{FileWriter, Files};
use serde::{Deserialize, Serialize};
use std::fs;
use std::io::Write;
use std::path::Path;

/// Appends lines, each in one write.
#[derive(Debug)]
pub struct MetricsWriter {
    file: FileWriter,
    line: Vec<u8>,
}

impl MetricsWriter {
    /// Opens the file after dropping the lines of steps after `step`, and a last line that a kill cut.
    pub(crate) fn open(files: &Files, path: &Path, step: u64) -> Result<MetricsWriter> {
        if path.exists() {
            let text = fs::read(path).map_err(Error::io("read", path))?;
            let keep = kept(&text, step);
            if keep < text.len() {
                files.truncate(path, keep as u64)?;
            }
        }
        Ok(MetricsWriter { file: files.append(path)?, line: Vec::with_capacity(1 << 12) })
    }

    /// Appends a line.
    pub fn write(&mut self, line: &impl Serialize) -> Result<()> {
        self.line.clear();
        let json = serde_json::to_writer(&mut self.line, line).map_err(std::io::Error::from);
        self.line.push(b'\n');
        let written = json.and_then(|()| self.file.write_all(&self.line));
        // Only an error may allocate.
        written.map_err(|e| Error::io("write", self.file.path())(e))
    }

    /// Makes what was written last.
    pub fn sync(&mut self) -> Result<()> {
        self.file.sync()
    }
}

/// Length of the whole lines up to the last one whose step is at most `step`.
fn kept(text: &[u8], step: u64) -> usize {
    #[derive(Deserialize)]
    struct Line {
        step: u64,
    }
    let mut end = 0;
    for line in text.split_inclusive(|&b| b == b'\n') {
        let whole = line.ends_with(b"\n");
        match serde_json::from_slice::<Line>(line) {
            Ok(found) if whole && found.step <= step => end += line.len(),
            _ => break,
        }
    }
    end
}

/// A line of `metrics.jsonl` or another file of JSON lines.
pub type Line = serde_json::Map<String, serde_json::Value>;

/// All lines of a file; an error names the line that is no JSON object.
pub fn read_metrics(path: &Path) -> Result<Vec<Line>> {
    parse_metrics(path, &fs::read(path).map_err(Error::io("read", path))?)
}

/// All lines of what was read from a file.
pub(crate) fn parse_metrics(path: &Path, bytes: &[u8]) -> Result<Vec<Line>> {
    let text = std::str::from_utf8(bytes).map_err(|_| Error::damaged(path, "is not UTF-8"))?;
    let line = |(number, line): (usize, &str)| {
        serde_json::from_str(line).map_err(|e| Error::damaged(path, format!("line {}: {e}", number + 1)))
    };
    text.lines().enumerate().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn later_and_cut_lines_are_dropped() {
        let text = b"{\"step\":1}\n{\"step\":2,\"a\":0}\n{\"step\":2,\"b\":0}\n{\"step\":3}\n{\"st";
        assert_eq!(kept(text, 2), 11 + 17 + 17);
        assert_eq!(kept(text, 0), 0);
        assert_eq!(kept(text, 9), text.len() - 4);
        assert_eq!(kept(b"", 9), 0);
        assert_eq!(kept(b"{\"step\":1}", 9), 0);
    }
}
