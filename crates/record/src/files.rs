//! The only way in which this crate changes a disk. Every change can be made to fail, so that tests
//! reach each of them.

use crate::error::{Error, Result};
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Locks a file, which says that this process writes `folder`, until it is closed or the process ends, however
/// that comes.
///
/// # Errors
/// [`Error::Locked`] if another process has it.
pub fn lock(file: &File, folder: &Path) -> Result<()> {
    file.try_lock().map_err(|error| match error {
        TryLockError::WouldBlock => Error::Locked { path: folder.into() },
        TryLockError::Error(error) => Error::io("lock", folder)(error),
    })
}

/// Changes to a disk.
#[derive(Clone, Debug, Default)]
pub struct Files {
    fault: Option<Arc<Fault>>,
}

#[derive(Debug)]
struct Fault {
    count: AtomicU64,
    from: u64,
    to: u64,
}

impl Files {
    /// The disk as it is.
    pub fn new() -> Files {
        Files::default()
    }

    /// A disk on which the changes numbered `from..to` (from 0) fail as if it were full.
    pub fn failing(from: u64, to: u64) -> Files {
        Files { fault: Some(Arc::new(Fault { count: AtomicU64::new(0), from, to })) }
    }

    /// Changes tried so far, if they are counted ([`Files::failing`]).
    pub fn changes(&self) -> u64 {
        self.fault.as_ref().map_or(0, |fault| fault.count.load(Ordering::Relaxed))
    }

    fn change<T>(&self, change: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
        if let Some(fault) = &self.fault {
            let number = fault.count.fetch_add(1, Ordering::Relaxed);
            if (fault.from..fault.to).contains(&number) {
                return Err(io::Error::from(io::ErrorKind::StorageFull));
            }
        }
        change()
    }

    /// Makes a folder and those above it.
    pub fn create_folder(&self, path: &Path) -> Result<()> {
        self.change(|| fs::create_dir_all(path)).map_err(Error::io("create", path))
    }

    /// A new or emptied file.
    pub fn create(&self, path: &Path) -> Result<FileWriter> {
        let file = self.change(|| File::create(path)).map_err(Error::io("create", path))?;
        Ok(FileWriter { file, path: path.into(), files: self.clone() })
    }

    /// A file to whose end is written.
    pub fn append(&self, path: &Path) -> Result<FileWriter> {
        let open = || OpenOptions::new().create(true).append(true).open(path);
        let file = self.change(open).map_err(Error::io("open", path))?;
        Ok(FileWriter { file, path: path.into(), files: self.clone() })
    }

    /// Replaces a file at once: readers see the old or the new one, whatever happens.
    pub fn replace(&self, path: &Path, bytes: &[u8]) -> Result<()> {
        let beside = path.with_extension("part");
        let written = (|| {
            let mut file = self.create(&beside)?;
            file.write_all(bytes).map_err(Error::io("write", &beside))?;
            file.sync()?;
            self.rename(&beside, path)
        })();
        if written.is_err() {
            // What cannot be removed is overwritten by the next attempt.
            let _ = fs::remove_file(&beside);
        }
        written
    }

    /// Renames and makes it last.
    pub fn rename(&self, from: &Path, to: &Path) -> Result<()> {
        self.change(|| fs::rename(from, to)).map_err(Error::io("rename", from))?;
        match to.parent() {
            Some(folder) => self.sync_folder(folder),
            None => Ok(()),
        }
    }

    /// Makes the entries of a folder last.
    pub fn sync_folder(&self, path: &Path) -> Result<()> {
        let path = if path.as_os_str().is_empty() { Path::new(".") } else { path };
        self.change(|| File::open(path)?.sync_all()).map_err(Error::io("sync", path))
    }

    /// Removes a folder with what is in it; one that is not there is fine.
    pub fn remove_folder(&self, path: &Path) -> Result<()> {
        match self.change(|| fs::remove_dir_all(path)) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(()),
            other => other.map_err(Error::io("remove", path)),
        }
    }

    /// Cuts a file to its first `length` bytes.
    pub fn truncate(&self, path: &Path, length: u64) -> Result<()> {
        let cut = || {
            let file = OpenOptions::new().write(true).open(path)?;
            file.set_len(length)?;
            file.sync_all()
        };
        self.change(cut).map_err(Error::io("truncate", path))
    }
}

/// A file that is being written.
#[derive(Debug)]
pub struct FileWriter {
    file: File,
    path: PathBuf,
    files: Files,
}

impl FileWriter {
    /// Makes what was written last.
    pub fn sync(&mut self) -> Result<()> {
        self.files.change(|| self.file.sync_all()).map_err(Error::io("sync", &self.path))
    }

    /// Its path.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Write for FileWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.files.change(|| self.file.write(bytes))
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
