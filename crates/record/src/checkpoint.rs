//! Checkpoints: written beside, synced, renamed; read only if every byte is as it was written.

use crate::error::{Error, Result};
use crate::files::{FileWriter, Files};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, BufWriter, Read, Write};
use std::path::{Path, PathBuf};

/// Name of the file that lists the others.
const MANIFEST: &str = "manifest.json";

/// What a checkpoint consists of.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    /// Steps taken.
    pub step: u64,
    /// The files by name.
    pub files: BTreeMap<String, FileEntry>,
}

/// A file of a checkpoint.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileEntry {
    /// Length in bytes.
    pub bytes: u64,
    /// BLAKE3 of the contents, in hexadecimal digits.
    pub blake3: String,
}

/// A complete checkpoint.
#[derive(Clone, Debug, PartialEq)]
pub struct Checkpoint {
    /// Steps taken.
    pub step: u64,
    /// Its folder.
    pub path: PathBuf,
}

impl Checkpoint {
    /// Reads every file and compares its length and hash with the manifest's.
    pub fn verify(&self) -> Result<Manifest> {
        let path = self.path.join(MANIFEST);
        let bytes = fs::read(&path).map_err(Error::io("read", &path))?;
        let manifest: Manifest = serde_json::from_slice(&bytes)
            .map_err(|e| Error::damaged(&path, format!("is no manifest: {e}")))?;
        if manifest.step != self.step {
            return Err(Error::damaged(&path, format!("is of step {}", manifest.step)));
        }
        for (name, entry) in &manifest.files {
            let path = self.path.join(name);
            let found = hash(&path)?;
            if found != *entry {
                let what = match found.bytes == entry.bytes {
                    true => "was altered: its hash differs from the manifest's".to_string(),
                    false => format!("has {} bytes, {} were written", found.bytes, entry.bytes),
                };
                return Err(Error::damaged(&path, what));
            }
        }
        Ok(manifest)
    }

    /// Opens one of its files with the length.
    pub fn open(&self, name: &str) -> Result<(File, u64)> {
        let path = self.path.join(name);
        let open = || {
            let file = File::open(&path)?;
            let length = file.metadata()?.len();
            Ok((file, length))
        };
        open().map_err(Error::io("open", &path))
    }
}

fn hash(path: &Path) -> Result<FileEntry> {
    let mut hasher = blake3::Hasher::new();
    let mut file = File::open(path).map_err(Error::io("open", path))?;
    let mut buffer = vec![0; 1 << 16];
    let mut bytes = 0;
    loop {
        let n = file.read(&mut buffer).map_err(Error::io("read", path))?;
        if n == 0 {
            break;
        }
        hasher.update(&buffer[..n]);
        bytes += n as u64;
    }
    Ok(FileEntry { bytes, blake3: hasher.finalize().to_string() })
}

/// All checkpoints of a folder, oldest first, by their names.
pub(crate) fn list(folder: &Path) -> Result<Vec<Checkpoint>> {
    let mut found = Vec::new();
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(found),
        Err(e) => return Err(Error::io("list", folder)(e)),
    };
    for entry in entries {
        let path = entry.map_err(Error::io("list", folder))?.path();
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        if let Some(step) = name.parse().ok().filter(|_| name.bytes().all(|b| b.is_ascii_digit())) {
            found.push(Checkpoint { step, path });
        }
    }
    found.sort_by_key(|checkpoint| checkpoint.step);
    Ok(found)
}

/// Folder of a step's checkpoint.
pub(crate) fn path(folder: &Path, step: u64) -> PathBuf {
    folder.join(format!("{step:09}"))
}

/// A checkpoint that is being written. Dropped without [`CheckpointWriter::finish`], it leaves nothing.
#[derive(Debug)]
pub struct CheckpointWriter {
    files: Files,
    folder: PathBuf,
    beside: PathBuf,
    manifest: Manifest,
    finished: bool,
}

impl CheckpointWriter {
    /// Begins the checkpoint of a step in a run's folder of checkpoints.
    pub fn new(files: &Files, folder: &Path, step: u64) -> Result<CheckpointWriter> {
        let beside = folder.join(format!("{step:09}.part"));
        files.create_folder(folder)?;
        // Of a process that was killed.
        files.remove_folder(&beside)?;
        files.create_folder(&beside)?;
        let manifest = Manifest { step, files: BTreeMap::new() };
        Ok(CheckpointWriter {
            files: files.clone(),
            folder: folder.into(),
            beside,
            manifest,
            finished: false,
        })
    }

    /// Writes one file; `write` is handed where to.
    pub fn file(&mut self, name: &str, write: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> Result<()> {
        let path = self.beside.join(name);
        let out = Hashing { file: self.files.create(&path)?, hasher: blake3::Hasher::new(), bytes: 0 };
        let mut out = BufWriter::with_capacity(1 << 16, out);
        write(&mut out).and_then(|()| out.flush()).map_err(Error::io("write", &path))?;
        let mut out = match out.into_inner() {
            Ok(out) => out,
            Err(e) => return Err(Error::io("write", &path)(e.into_error())),
        };
        out.file.sync()?;
        let entry = FileEntry { bytes: out.bytes, blake3: out.hasher.finalize().to_string() };
        self.manifest.files.insert(name.into(), entry);
        Ok(())
    }

    /// Writes the manifest and gives the checkpoint its name: from now on it exists.
    pub fn finish(mut self) -> Result<Checkpoint> {
        let manifest = serde_json::to_vec_pretty(&self.manifest);
        let path = self.beside.join(MANIFEST);
        let manifest = manifest.map_err(|e| Error::damaged(&path, e.to_string()))?;
        let mut file = self.files.create(&path)?;
        file.write_all(&manifest).map_err(Error::io("write", &path))?;
        file.sync()?;
        self.files.sync_folder(&self.beside)?;
        let step = self.manifest.step;
        let path = self::path(&self.folder, step);
        // One of the same step, made before a kill and found damaged, or made again after it.
        self.files.remove_folder(&path)?;
        self.files.rename(&self.beside, &path)?;
        self.finished = true;
        Ok(Checkpoint { step, path })
    }
}

impl Drop for CheckpointWriter {
    fn drop(&mut self) {
        if !self.finished {
            // Readers ignore what remains, and the next attempt removes it.
            let _ = fs::remove_dir_all(&self.beside);
        }
    }
}

struct Hashing {
    file: FileWriter,
    hasher: blake3::Hasher,
    bytes: u64,
}

impl Write for Hashing {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let n = self.file.write(bytes)?;
        self.hasher.update(&bytes[..n]);
        self.bytes += n as u64;
        Ok(n)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}
