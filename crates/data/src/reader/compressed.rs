//! Files as streams of bytes: plain, gzip or zstd by their first bytes, counted and hashed as they pass.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use flate2::bufread::MultiGzDecoder;

use crate::error::{Error, Result};

/// A decompressed stream.
pub(super) type Stream = Box<dyn BufRead + Send>;

/// The hash of a file that is being read by someone else.
pub(crate) struct Hashed {
    raw: Raw,
    path: PathBuf,
}

impl Hashed {
    /// Reads what the reader left, and gives the hash of the whole file.
    pub(crate) fn finish(mut self) -> Result<[u8; 32]> {
        let mut rest = vec![0; BUFFER];
        while self.raw.read(&mut rest).map_err(Error::io("read", &self.path))? > 0 {}
        Ok(*self.raw.hasher().finalize().as_bytes())
    }
}

const BUFFER: usize = 128 * 1024;

/// The bytes on disk. Clones share the file's position and the hash.
#[derive(Clone)]
struct Raw {
    file: Arc<File>,
    hasher: Arc<Mutex<blake3::Hasher>>,
    done: Arc<AtomicU64>,
}

impl Raw {
    fn hasher(&self) -> std::sync::MutexGuard<'_, blake3::Hasher> {
        self.hasher.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Read for Raw {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = (&*self.file).read(buffer)?;
        self.hasher().update(&buffer[..count]);
        self.done.fetch_add(count as u64, Ordering::Relaxed);
        Ok(count)
    }
}

/// Opens a file; the first bytes say whether it is compressed.
pub(super) fn open(path: &Path, done: &Arc<AtomicU64>) -> Result<(Stream, Hashed)> {
    let file = File::open(path).map_err(Error::io("open", path))?;
    let raw = Raw { file: Arc::new(file), hasher: Arc::default(), done: done.clone() };
    let hashed = Hashed { raw: raw.clone(), path: path.to_path_buf() };
    let mut plain = BufReader::with_capacity(BUFFER, raw);
    let start = plain.fill_buf().map_err(Error::io("read", path))?;
    let stream: Stream = if start.starts_with(&[0x1f, 0x8b]) {
        Box::new(BufReader::with_capacity(BUFFER, MultiGzDecoder::new(plain)))
    } else if start.starts_with(&[0x28, 0xb5, 0x2f, 0xfd]) {
        let decoder =
            zstd::stream::read::Decoder::with_buffer(plain).map_err(Error::io("decompress", path))?;
        Box::new(BufReader::with_capacity(BUFFER, decoder))
    } else {
        Box::new(plain)
    };
    Ok((stream, hashed))
}
