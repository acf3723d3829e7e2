//! The registry of predictions: a line each, only ever added to, each with the hash of the line before.
//!
//! ```text
//! {"id":1,"time":1764031234,"previous":"","kind":"prediction",…,"hash":"…"}
//! {"id":2,"time":1764039999,"previous":"<hash of line 1>","kind":"outcome","of":1,…,"hash":"…"}
//! ```
//!
//! The hash (BLAKE3) covers the bytes of the line before `,"hash":"`. A line that was altered does not have
//! its hash; one that was removed, added or moved breaks the chain at the next. No line is older than the one
//! before it. The last line's hash, which every command prints, is what to publish if even its author is not
//! to be trusted.

use crate::error::{Error, Result};
use serde_json::{Map, Value};
use std::fs::{self, File, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

/// A registry file.
#[derive(Clone, Debug)]
pub struct Registry {
    path: PathBuf,
}

/// A line of the registry.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// Its number, from 1.
    pub id: u64,
    /// Seconds since 1970, UTC.
    pub time: u64,
    /// `prediction` or `outcome`.
    pub kind: String,
    /// Everything else.
    pub body: Map<String, Value>,
    /// Its own hash.
    pub hash: String,
}

const MARK: &str = ",\"hash\":\"";

/// Names that are the registry's own.
const OWN: [&str; 5] = ["id", "time", "previous", "kind", "hash"];

impl Registry {
    /// A registry at a path; it need not be there yet.
    pub fn at(path: &Path) -> Registry {
        Registry { path: path.into() }
    }

    /// Its file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Every entry, after the chain was followed from its first to its last; none if there is no file.
    pub fn entries(&self) -> Result<Vec<Entry>> {
        match fs::metadata(&self.path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(Error::io("read", &self.path)(error)),
            Ok(about) if !about.is_file() => return Err(Error::damaged(&self.path, "is no regular file")),
            Ok(_) => {}
        }
        let bytes = fs::read(&self.path).map_err(Error::io("read", &self.path))?;
        self.parse(whole(&bytes))
    }

    /// Adds an entry and makes it last; others that add at the same time wait for one another. A line
    /// whose writer was killed before its end was never acknowledged, and is overwritten. Where the clock stands
    /// before the entry before, that one's time is taken.
    pub fn append(&self, time: u64, kind: &str, body: Map<String, Value>) -> Result<Entry> {
        self.append_with(time, kind, |_| Ok(body))
    }

    /// As [`Registry::append`], with a body that `make` makes of the entries before it, or an error for which
    /// nothing is added: nobody else adds anything between its look and its line.
    pub fn append_with<E: From<Error>>(
        &self,
        time: u64,
        kind: &str,
        make: impl FnOnce(&[Entry]) -> Result<Map<String, Value>, E>,
    ) -> Result<Entry, E> {
        let open = OpenOptions::new().read(true).append(true).create(true).open(&self.path);
        let mut file = open.map_err(Error::io("open", &self.path))?;
        file.lock().map_err(Error::io("lock", &self.path))?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes).map_err(Error::io("read", &self.path))?;
        let sound = whole(&bytes).len() as u64;
        let entries = self.parse(whole(&bytes))?;
        let body = make(&entries)?;
        if let Some(name) = OWN.iter().find(|name| body.contains_key(**name)) {
            let what = format!("an entry cannot have a field '{name}' of its own");
            return Err(Error::damaged(&self.path, what).into());
        }
        let id = entries.len() as u64 + 1;
        let previous = entries.last().map_or("", |entry| &entry.hash);
        let time = entries.last().map_or(time, |entry| entry.time.max(time));
        let mut fields = Map::new();
        fields.insert("id".into(), id.into());
        fields.insert("time".into(), time.into());
        fields.insert("previous".into(), previous.into());
        fields.insert("kind".into(), kind.into());
        fields.extend(body.clone());
        let text = Value::Object(fields).to_string();
        let text = text.strip_suffix('}').unwrap_or(&text);
        let hash = blake3::hash(text.as_bytes()).to_hex().to_string();
        let line = format!("{text}{MARK}{hash}\"}}\n");
        if let Err(error) = write(&mut file, sound, line.as_bytes()) {
            // What was written of it is no line; without this it would wait for the next writer.
            let _ = file.set_len(sound);
            return Err(Error::io("write", &self.path)(error).into());
        }
        Ok(Entry { id, time, kind: kind.into(), body, hash })
    }

    fn parse(&self, bytes: &[u8]) -> Result<Vec<Entry>> {
        let mut entries: Vec<Entry> = Vec::new();
        let text = std::str::from_utf8(bytes).map_err(|_| Error::damaged(&self.path, "is not UTF-8"))?;
        for (number, line) in (1u64..).zip(text.lines()) {
            let wrong = |what: &str| Error::damaged(&self.path, format!("line {number}: {what}"));
            let (before, hash) =
                line.rsplit_once(MARK).ok_or_else(|| wrong("is no entry: it has no hash"))?;
            let hash = hash.strip_suffix("\"}").ok_or_else(|| wrong("is no entry: it has no end"))?;
            if blake3::hash(before.as_bytes()).to_hex().as_str() != hash {
                return Err(wrong("was altered: it does not have its hash"));
            }
            let mut body: Map<String, Value> =
                serde_json::from_str(line).map_err(|error| wrong(&format!("is no entry: {error}")))?;
            let text = |value: Option<&Value>| value.and_then(Value::as_str).map(String::from);
            let previous = text(body.get("previous")).ok_or_else(|| wrong("has no 'previous'"))?;
            let kind = text(body.get("kind")).ok_or_else(|| wrong("has no 'kind'"))?;
            let time = body.get("time").and_then(Value::as_u64).ok_or_else(|| wrong("has no 'time'"))?;
            if body.get("id").and_then(Value::as_u64) != Some(number) {
                return Err(wrong("does not have this number: an entry was removed, added or moved"));
            }
            if previous != entries.last().map_or("", |entry| &entry.hash) {
                return Err(wrong(
                    "does not follow the line before it: an entry was removed, replaced or moved",
                ));
            }
            if entries.last().is_some_and(|entry| entry.time > time) {
                return Err(wrong("is older than the line before it: a clock was set back"));
            }
            OWN.iter().for_each(|name| {
                body.shift_remove(*name);
            });
            entries.push(Entry { id: number, time, kind, body, hash: hash.into() });
        }
        Ok(entries)
    }
}

/// Up to the last line that has an end.
fn whole(bytes: &[u8]) -> &[u8] {
    let end = bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
    &bytes[..end]
}

fn write(file: &mut File, sound: u64, line: &[u8]) -> std::io::Result<()> {
    file.set_len(sound)?;
    file.seek(SeekFrom::End(0))?;
    file.write_all(line)?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn body(value: f64) -> Map<String, Value> {
        serde_json::json!({"loss": value, "law": "a·C^b, \"hash\":\"no\""}).as_object().unwrap().clone()
    }

    fn registry(entries: u64) -> (tempfile::TempDir, Registry) {
        let folder = tempfile::tempdir().unwrap();
        let registry = Registry::at(&folder.path().join("predictions.jsonl"));
        for i in 0..entries {
            assert_eq!(registry.append(1000 + i, "prediction", body(i as f64 + 0.1)).unwrap().id, i + 1);
        }
        (folder, registry)
    }

    #[test]
    fn what_was_added_is_read_again() {
        let (_folder, registry) = registry(3);
        let entries = registry.entries().unwrap();
        assert_eq!(entries.len(), 3);
        assert_eq!((entries[1].id, entries[1].time, entries[1].kind.as_str()), (2, 1001, "prediction"));
        assert_eq!(entries[1].body, body(1.1));
        assert!(Registry::at(Path::new("/nonexistent/x")).entries().unwrap().is_empty());
        let mut own = body(1.0);
        own.insert("id".into(), 7.into());
        assert!(registry.append(1, "prediction", own).is_err());
    }

    #[test]
    fn every_change_is_found() {
        let (_folder, registry) = registry(4);
        let text = fs::read_to_string(registry.path()).unwrap();
        let lines: Vec<&str> = text.lines().collect();
        let said = |lines: &[&str]| {
            fs::write(registry.path(), lines.join("\n") + "\n").unwrap();
            let said = registry.entries().unwrap_err().to_string();
            assert!(registry.append(1, "prediction", body(1.0)).is_err(), "a broken chain was continued");
            said
        };
        let altered = lines[1].replace("1.1", "1.2");
        assert!(said(&[lines[0], &altered, lines[2]]).contains("line 2: was altered"));
        assert!(said(&[lines[0], lines[2], lines[3]]).contains("line 2"));
        assert!(said(&[lines[1], lines[0]]).contains("line 1"));
        assert!(said(&[lines[0], lines[0]]).contains("line 2"));
        assert!(said(&["{}"]).contains("no hash"));
        // A second first entry, sound in itself.
        let (_other, forged) = self::registry(1);
        forged.append(5, "prediction", body(9.0)).unwrap();
        let text = fs::read_to_string(forged.path()).unwrap();
        let other: Vec<&str> = text.lines().collect();
        assert_eq!(other[0], lines[0]);
        assert!(said(&[lines[0], other[1], lines[2]]).contains("line 3: does not follow"));
    }

    #[test]
    fn a_line_whose_writer_was_killed_is_overwritten() {
        let (_folder, registry) = registry(2);
        let sound = fs::read(registry.path()).unwrap();
        for cut in 1..40 {
            let mut torn = sound.clone();
            torn.extend(&sound[..cut]);
            torn.retain(|byte| *byte != 0);
            fs::write(registry.path(), &torn).unwrap();
            assert_eq!(registry.entries().unwrap().len(), 2);
        }
        assert_eq!(registry.append(7, "outcome", body(2.0)).unwrap().id, 3);
        assert_eq!(registry.entries().unwrap().len(), 3);
    }

    #[test]
    fn no_entry_is_older_than_the_one_before_it() {
        let (_folder, registry) = registry(2);
        // A clock that was set back gives the time of the entry before.
        assert_eq!(registry.append(5, "outcome", body(1.0)).unwrap().time, 1001);
        let text = fs::read_to_string(registry.path()).unwrap();
        let (before, last) = text.trim_end().rsplit_once('\n').unwrap();
        let (line, _) = last.rsplit_once(MARK).unwrap();
        let line = line.replace("\"time\":1001", "\"time\":5");
        let hash = blake3::hash(line.as_bytes()).to_hex();
        fs::write(registry.path(), format!("{before}\n{line}{MARK}{hash}\"}}\n")).unwrap();
        assert!(registry.entries().unwrap_err().to_string().contains("line 3: is older"));
    }

    #[test]
    fn what_is_added_once_is_added_once() {
        let (_folder, registry) = registry(1);
        let once = |entries: &[Entry]| match entries.iter().any(|entry| entry.kind == "outcome") {
            true => Err(Error::damaged(registry.path(), "has it")),
            false => Ok(body(1.0)),
        };
        let added: Vec<bool> = std::thread::scope(|scope| {
            let all: Vec<_> =
                (0..8).map(|_| scope.spawn(|| registry.append_with(2000, "outcome", once).is_ok())).collect();
            all.into_iter().map(|one| one.join().unwrap()).collect()
        });
        assert_eq!(added.iter().filter(|added| **added).count(), 1);
        assert_eq!(registry.entries().unwrap().len(), 2);
    }

    #[test]
    fn many_writers_make_one_chain() {
        let (_folder, registry) = registry(0);
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    (0..10).for_each(|i| drop(registry.append(i, "prediction", body(0.5)).unwrap()))
                });
            }
        });
        assert_eq!(registry.entries().unwrap().len(), 80);
    }
}
