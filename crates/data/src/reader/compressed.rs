//! Files as streams of bytes: plain, gzip or zstd by their first bytes, counted and hashed as they pass.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use flate2::bufread::MultiGzDecoder;

use crate::error::{Error, Result};
use crate::storage;

/// A decompressed stream.
pub(crate) type Stream = Box<dyn BufRead + Send>;

/// What those who read and those who wait for them tell each other.
#[derive(Clone, Default)]
pub(crate) struct Watch {
    /// Bytes read from disk.
    pub(crate) done: Arc<AtomicU64>,
    /// Set to end the reading: every read fails from then on.
    pub(crate) stop: Arc<AtomicBool>,
}

impl Watch {
    pub(crate) fn stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }
}

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
    watch: Watch,
}

impl Raw {
    fn hasher(&self) -> std::sync::MutexGuard<'_, blake3::Hasher> {
        self.hasher.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Read for Raw {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.watch.stopped() {
            return Err(io::Error::other("it was asked to stop"));
        }
        let count = (&*self.file).read(buffer)?;
        self.hasher().update(&buffer[..count]);
        self.watch.done.fetch_add(count as u64, Ordering::Relaxed);
        Ok(count)
    }
}

/// Opens a file; the first bytes say whether it is compressed.
pub(super) fn open(path: &Path, watch: &Watch) -> Result<(Stream, Hashed)> {
    let raw = Raw { file: Arc::new(storage::open(path)?), hasher: Arc::default(), watch: watch.clone() };
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
