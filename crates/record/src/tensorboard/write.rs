//! Writing event files: scalars, one an event.

use super::framed;
use crate::error::{Error, Result};
use crate::files::{FileWriter, Files};
use std::io::Write;
use std::path::Path;

/// Appends scalars to an event file.
#[derive(Debug)]
pub struct EventWriter {
    file: FileWriter,
}

impl EventWriter {
    /// A new file in `folder`; `seconds` since 1970 make its name, as TensorBoard expects.
    pub fn new(files: &Files, folder: &Path, seconds: f64) -> Result<EventWriter> {
        let name = format!("events.out.tfevents.{:010}.{}.foretell", seconds as u64, std::process::id());
        let mut writer = EventWriter { file: files.create(&folder.join(name))? };
        let mut event = Vec::new();
        double(&mut event, 1, seconds);
        bytes(&mut event, 3, b"brain.Event:2");
        writer.append(&event)?;
        Ok(writer)
    }

    /// Appends one scalar.
    pub fn scalar(&mut self, tag: &str, step: u64, value: f64, seconds: f64) -> Result<()> {
        let (mut inner, mut summary, mut event) = (Vec::new(), Vec::new(), Vec::new());
        bytes(&mut inner, 1, tag.as_bytes());
        inner.push(2 << 3 | 5);
        inner.extend((value as f32).to_le_bytes());
        bytes(&mut summary, 1, &inner);
        double(&mut event, 1, seconds);
        event.push(2 << 3);
        varint(&mut event, step);
        bytes(&mut event, 5, &summary);
        self.append(&event)
    }

    fn append(&mut self, event: &[u8]) -> Result<()> {
        self.file.write_all(&framed(event)).map_err(Error::io("write", self.file.path()))
    }
}

fn varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

fn double(out: &mut Vec<u8>, field: u8, value: f64) {
    out.push(field << 3 | 1);
    out.extend(value.to_le_bytes());
}

fn bytes(out: &mut Vec<u8>, field: u8, value: &[u8]) {
    out.push(field << 3 | 2);
    varint(out, value.len() as u64);
    out.extend(value);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tensorboard::masked;

    /// Field numbers and wire types are those of `event.proto` and `summary.proto`.
    #[test]
    fn frames_are_as_the_format_says() {
        let folder = tempfile::tempdir().unwrap();
        let mut writer = EventWriter::new(&Files::new(), folder.path(), 0.0).unwrap();
        writer.scalar("loss", 300, 1.5, 2.0).unwrap();
        let path = std::fs::read_dir(folder.path()).unwrap().next().unwrap().unwrap().path();
        let data = std::fs::read(path).unwrap();
        let mut at = 0;
        let mut records = Vec::new();
        while at < data.len() {
            let length = u64::from_le_bytes(data[at..at + 8].try_into().unwrap()) as usize;
            assert_eq!(data[at + 8..at + 12], masked(&data[at..at + 8]).to_le_bytes());
            let event = &data[at + 12..at + 12 + length];
            assert_eq!(data[at + 12 + length..at + 16 + length], masked(event).to_le_bytes());
            records.push(event.to_vec());
            at += 16 + length;
        }
        assert_eq!(records.len(), 2);
        assert_eq!(records[0][9..], *b"\x1a\x0dbrain.Event:2");
        let mut expected = vec![0x09];
        expected.extend(2f64.to_le_bytes());
        expected.extend([0x10, 0xac, 0x02, 0x2a, 13, 0x0a, 11, 0x0a, 4]);
        expected.extend(b"loss");
        expected.push(0x15);
        expected.extend(1.5f32.to_le_bytes());
        assert_eq!(records[1], expected);
    }
}
