//! Rows of a tar archive (WebDataset). Only its names are held: pictures stay where they stand until they are shown, and texts are
//! read a row at a time.

use std::cell::Cell as Counter;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::iter::Peekable;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::table::{Cell, Row};
use crate::document::ImageRef;
use crate::picture::Bounds;
use crate::reader::IMAGES;
use crate::storage;

/// Bytes that may describe a member beside its content: a long name, times.
const DESCRIBED: u64 = 1 << 20;

/// A member, and where its bytes are.
struct Member {
    /// Its name up to the first dot behind its folder.
    key: String,
    /// The rest of it.
    column: String,
    start: u64,
    length: u64,
}

/// The members of an archive that share a key are a row, with the rest of the name as the column: pictures as such, `json` as its
/// fields, all else as text.
pub(crate) struct Archive {
    path: PathBuf,
    members: Peekable<std::vec::IntoIter<Member>>,
    /// Bytes of text of a row.
    most: usize,
}

/// A file that gives no more bytes than are `left`, however it is asked.
struct Metered<'a> {
    file: File,
    left: &'a Counter<u64>,
}

impl Read for Metered<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.file.read(buffer)?;
        let left = self.left.get().checked_sub(count as u64);
        self.left.set(
            left.ok_or_else(|| io::Error::other(format!("more than {DESCRIBED} bytes describe a member")))?,
        );
        Ok(count)
    }
}

impl Seek for Metered<'_> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.file.seek(to)
    }
}

impl Archive {
    /// Reads the names of an archive; no row of it will have more than `most` bytes of text. An error says what is wrong.
    pub(super) fn open(path: &Path, most: usize) -> Result<Archive, String> {
        let said = |error: io::Error| error.to_string();
        let file = storage::open(path).map_err(|error| error.to_string())?;
        let end = file.metadata().map_err(said)?.len();
        let left = Counter::new(DESCRIBED);
        let mut archive = tar::Archive::new(Metered { file, left: &left });
        let mut members = Vec::new();
        for member in archive.entries_with_seek().map_err(said)? {
            let member = member.map_err(said)?;
            left.set(DESCRIBED);
            if !member.header().entry_type().is_file() {
                continue;
            }
            let name = member.path().map_err(said)?.to_string_lossy().into_owned();
            let (start, length) = (member.raw_file_position(), member.size());
            if start.checked_add(length).is_none_or(|last| last > end) {
                return Err(format!("{name}: the archive is cut off"));
            }
            let folder = name.rfind('/').map_or(0, |slash| slash + 1);
            let Some((own, column)) = name[folder..].split_once('.') else { continue };
            let key = format!("{}{own}", &name[..folder]);
            members.push(Member { key, column: column.to_lowercase(), start, length });
        }
        Ok(Archive { path: path.to_path_buf(), members: members.into_iter().peekable(), most })
    }

    /// The row of these members.
    fn row(&self, members: &[Member]) -> Result<Row, String> {
        let (mut row, mut left) = (Row::new(), self.most);
        let file = self.path.to_string_lossy();
        for Member { key, column, start, length } in members {
            row.insert("key".into(), Cell::Plain(key.clone().into()));
            let kind = column.rsplit('.').next().unwrap_or(column);
            let most = if IMAGES.contains(&kind) { Bounds::default().bytes } else { left };
            if *length > most as u64 {
                return Err(format!("{key}.{column}: it has {length} bytes, and {most} are allowed"));
            }
            if IMAGES.contains(&kind) {
                let image =
                    ImageRef::Part { file: file.clone().into_owned(), start: *start, length: *length };
                row.insert("image".into(), Cell::Images(vec![image.clone()]));
                row.insert(column.clone(), Cell::Images(vec![image]));
                continue;
            }
            left -= *length as usize;
            let bytes = storage::read_part(&self.path, *start, *length, most);
            let bytes = bytes.map_err(|error| error.to_string())?;
            if column == "json" {
                let fields: BTreeMap<String, Value> =
                    serde_json::from_slice(&bytes).map_err(|error| format!("{key}.json: {error}"))?;
                row.extend(fields.into_iter().map(|(name, value)| (name, Cell::Plain(value))));
            } else {
                let text = String::from_utf8_lossy(&bytes).trim_end().to_owned();
                row.insert(column.clone(), Cell::Plain(text.into()));
            }
        }
        Ok(row)
    }
}

impl Iterator for Archive {
    type Item = Result<Row, String>;

    fn next(&mut self) -> Option<Self::Item> {
        let mut members = vec![self.members.next()?];
        while let Some(member) = self.members.next_if(|member| member.key == members[0].key) {
            members.push(member);
        }
        Some(self.row(&members))
    }
}
