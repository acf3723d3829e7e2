//! The bytes of a file: a memory map, or a buffer in tests.

use std::fs::File;
use std::path::Path;

use kernels::Map;

use crate::error::{Error, Result};

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
        let file = File::open(path).map_err(Error::io("open", path))?;
        let map = Map::new(&file)
            .map_err(|error| Error::io("map", path)(std::io::Error::other(error.to_string())))?;
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
