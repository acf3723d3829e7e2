//! Files that are read: opened, as a whole, or as a memory map (a buffer in tests).

use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;

use kernels::Map;

use crate::error::{Error, Result};

/// Opens a file to read it. A device or a pipe is refused: it may have no end, or block whoever opens it.
pub(crate) fn open(path: &Path) -> Result<File> {
    if !fs::metadata(path).map_err(Error::io("read", path))?.is_file() {
        return Err(Error::io("read", path)(io::Error::other("it is no regular file; give one")));
    }
    File::open(path).map_err(Error::io("open", path))
}

/// The bytes of a file.
pub(crate) fn read(path: &Path) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    open(path)?.read_to_end(&mut bytes).map_err(Error::io("read", path))?;
    Ok(bytes)
}

/// The bytes of a file that has no more than `most`.
pub(crate) fn read_at_most(path: &Path, most: usize) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    open(path)?.take(most as u64 + 1).read_to_end(&mut bytes).map_err(Error::io("read", path))?;
    match bytes.len() > most {
        true => Err(Error::io("read", path)(io::Error::other(format!("it has more than {most} bytes")))),
        false => Ok(bytes),
    }
}

/// So many bytes of a file from `start` on, if they are no more than `most`.
pub(crate) fn read_part(path: &Path, start: u64, length: u64, most: usize) -> Result<Vec<u8>> {
    let said = |what: String| Error::io("read", path)(io::Error::other(what));
    if length > most as u64 {
        return Err(said(format!("{length} bytes from {start} on are more than the {most} allowed")));
    }
    let mut file = open(path)?;
    file.seek(SeekFrom::Start(start)).map_err(Error::io("read", path))?;
    let mut bytes = Vec::new();
    file.take(length).read_to_end(&mut bytes).map_err(Error::io("read", path))?;
    match bytes.len() as u64 == length {
        true => Ok(bytes),
        false => Err(said(format!("it is cut off: {length} bytes from {start} on are not there"))),
    }
}

/// The text of a file.
pub(crate) fn read_text(path: &Path) -> Result<String> {
    io::read_to_string(open(path)?).map_err(Error::io("read", path))
}

/// Bytes that can be read as one slice.
pub(crate) enum Bytes {
    /// A mapped file.
    Map(Map),
    /// Held in memory.
    #[cfg(test)]
    Buffer(Vec<u8>),
}

impl Bytes {
    /// Maps a file.
    pub(crate) fn open(path: &Path) -> Result<Bytes> {
        let map = Map::new(&open(path)?)
            .map_err(|error| Error::io("map", path)(io::Error::other(error.to_string())))?;
        Ok(Bytes::Map(map))
    }

    /// See [`Map::release`].
    pub(crate) fn release(&self) {
        match self {
            Bytes::Map(map) => map.release(),
            #[cfg(test)]
            Bytes::Buffer(_) => {}
        }
    }

    #[inline]
    pub(crate) fn as_slice(&self) -> &[u8] {
        match self {
            Bytes::Map(map) => map.as_bytes(),
            #[cfg(test)]
            Bytes::Buffer(bytes) => bytes,
        }
    }
}

#[cfg(test)]
impl From<Vec<u8>> for Bytes {
    fn from(bytes: Vec<u8>) -> Self {
        Bytes::Buffer(bytes)
    }
}
