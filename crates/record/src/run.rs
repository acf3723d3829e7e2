//! A run's folder: read by anyone, written by one process.

use crate::checkpoint::{self, Checkpoint, CheckpointWriter};
use crate::error::{Error, Result};
use crate::files::{self, Files};
use crate::metrics::{Line, MetricsWriter, parse_metrics};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::{Path, PathBuf};

/// A run's folder, to be read.
#[derive(Clone, Debug)]
pub struct Run {
    path: PathBuf,
}

impl Run {
    /// Opens a folder that has a `run.toml`.
    pub fn open(path: &Path) -> Result<Run> {
        match path.join("run.toml").is_file() {
            true => Ok(Run { path: path.into() }),
            false if path.is_dir() => Err(Error::NoRun { path: path.into() }),
            false => Err(Error::io("open", path)(std::io::ErrorKind::NotFound.into())),
        }
    }

    /// Its folder.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The text of `run.toml`.
    pub fn config(&self) -> Result<String> {
        let path = self.path.join("run.toml");
        fs::read_to_string(&path).map_err(Error::io("read", &path))
    }

    /// The bytes of a record (`run.toml`, `metrics.jsonl` and so on) and their hash. Of a run that came to its end
    /// it is what it was then; one that was altered since is an error.
    pub fn record(&self, name: &str) -> Result<(Vec<u8>, String)> {
        let path = self.path.join(name);
        let bytes = fs::read(&path).map_err(Error::io("read", &path))?;
        let hash = crate::hash(&bytes);
        match self.seal()?.and_then(|seal| seal.records.get(name).cloned()) {
            Some(then) if then != hash => {
                Err(Error::damaged(&path, "was altered after the run came to its end"))
            }
            _ => Ok((bytes, hash)),
        }
    }

    /// The lines of `metrics.jsonl`, read as [`Run::record`] does.
    pub fn metrics(&self) -> Result<Vec<Line>> {
        Ok(self.hashed_metrics()?.0)
    }

    /// The lines of `metrics.jsonl` and the hash of the file.
    pub fn hashed_metrics(&self) -> Result<(Vec<Line>, String)> {
        let (bytes, hash) = self.record("metrics.jsonl")?;
        Ok((parse_metrics(&self.path.join("metrics.jsonl"), &bytes)?, hash))
    }

    /// The folder of checkpoints.
    pub fn checkpoints(&self) -> PathBuf {
        self.path.join("checkpoints")
    }

    /// Whether the run came to its end.
    pub fn done(&self) -> bool {
        self.path.join("DONE").is_file()
    }

    /// What a run that came to its end said of itself; `None` of one that did not, or that a version ended which
    /// wrote no seal.
    pub fn seal(&self) -> Result<Option<Seal>> {
        let path = self.path.join("DONE");
        match fs::read(&path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(Error::io("read", &path)(error)),
            Ok(bytes) if bytes.is_empty() => Ok(None),
            Ok(bytes) => serde_json::from_slice(&bytes)
                .map(Some)
                .map_err(|error| Error::damaged(&path, format!("is no seal: {error}"))),
        }
    }

    /// The checkpoint of a step, if its files are as they were written.
    pub fn checkpoint(&self, step: u64) -> Result<Checkpoint> {
        let checkpoint = Checkpoint { step, path: checkpoint::path(&self.checkpoints(), step) };
        checkpoint.verify().map(|_| checkpoint)
    }

    /// The latest checkpoint whose files are as they were written, and why each later one is not used.
    pub fn latest(&self) -> Result<(Option<Checkpoint>, Vec<Error>)> {
        let mut damaged = Vec::new();
        for checkpoint in checkpoint::list(&self.checkpoints())?.into_iter().rev() {
            match checkpoint.verify() {
                Ok(_) => return Ok((Some(checkpoint), damaged)),
                Err(error) => damaged.push(error),
            }
        }
        Ok((None, damaged))
    }
}

/// `DONE`: the run as it was when it came to its end.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seal {
    /// Hashes of its records, the files of the folder in TOML and JSON lines, by name.
    pub records: BTreeMap<String, String>,
    /// Bytes that it held while it ran.
    pub memory_bytes: u64,
}

impl Seal {
    fn of(folder: &Path, memory_bytes: u64) -> Result<Seal> {
        let mut records = BTreeMap::new();
        for entry in fs::read_dir(folder).map_err(Error::io("list", folder))? {
            let path = entry.map_err(Error::io("list", folder))?.path();
            let is_record = path.extension().is_some_and(|kind| kind == "toml" || kind == "jsonl");
            if let Some(name) = path.file_name().and_then(|name| name.to_str()).filter(|_| is_record) {
                let bytes = fs::read(&path).map_err(Error::io("read", &path))?;
                records.insert(name.into(), crate::hash(&bytes));
            }
        }
        Ok(Seal { records, memory_bytes })
    }
}

/// Removes the files that the beginning of a run makes, and nothing else. What cannot be removed is an error
/// already told.
fn remove_own(path: &Path) {
    for entry in fs::read_dir(path).into_iter().flatten().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let own = ["run.toml", "run.part", "lock", "metrics.jsonl", "samples.jsonl"].contains(&name.as_str());
        let scores = name.starts_with("questions-") && name.ends_with(".jsonl");
        if own || scores || name.starts_with("events.out.tfevents.") {
            let _ = fs::remove_file(entry.path());
        }
    }
}

/// A run's folder, locked and written.
#[derive(Debug)]
pub struct RunWriter {
    run: Run,
    files: Files,
    /// Whether the folder was there before, empty.
    found: bool,
    /// Released when the process ends, however it ends.
    _lock: File,
}

impl RunWriter {
    /// Makes the folder of a new run. A folder that has anything in it is refused, but for one that a
    /// failed attempt left without `run.toml`.
    pub fn create(path: &Path, config: &str, files: Files) -> Result<RunWriter> {
        RunWriter::vacant(path)?;
        let fresh = !path.exists();
        let made = (|| {
            files.create_folder(path)?;
            let lock = lock(path)?;
            files.replace(&path.join("run.toml"), config.as_bytes())?;
            Ok(RunWriter { run: Run { path: path.into() }, files, found: !fresh, _lock: lock })
        })();
        // One that another process locked meanwhile is its run.
        if fresh && matches!(&made, Err(error) if !matches!(error, Error::Locked { .. })) {
            remove_own(path);
            let _ = fs::remove_dir(path);
        }
        made
    }

    /// Refuses a path at which no new run can be made.
    pub fn vacant(path: &Path) -> Result<()> {
        let entries = match fs::read_dir(path) {
            Ok(entries) => entries,
            Err(_) if path.is_file() => return Err(Error::Exists { path: path.into() }),
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(()),
            Err(e) => return Err(Error::io("list", path)(e)),
        };
        let ours = |name: &std::ffi::OsStr| name == "lock" || name == "run.part";
        match entries.flatten().all(|entry| ours(&entry.file_name())) {
            true => Ok(()),
            false => Err(Error::Exists { path: path.into() }),
        }
    }

    /// Opens a run to go on with it.
    pub fn open(path: &Path, files: Files) -> Result<RunWriter> {
        let run = Run::open(path)?;
        Ok(RunWriter { run, files, found: true, _lock: lock(path)? })
    }

    /// Takes back what [`RunWriter::create`] made, for a run that could not begin. One in which anything was
    /// recorded stays.
    pub fn take_back(self) {
        let recorded = |name| fs::metadata(self.run.path.join(name)).is_ok_and(|file| file.len() > 0);
        if recorded("metrics.jsonl") || self.run.checkpoints().exists() {
            return;
        }
        remove_own(&self.run.path);
        if !self.found {
            let _ = fs::remove_dir(&self.run.path);
        }
    }

    /// The run.
    pub fn run(&self) -> &Run {
        &self.run
    }

    /// The disk it is written to.
    pub fn files(&self) -> &Files {
        &self.files
    }

    /// Opens a file of JSON lines, `metrics.jsonl` or another, without the lines after `step`.
    pub fn lines(&self, name: &str, step: u64) -> Result<MetricsWriter> {
        MetricsWriter::open(&self.files, &self.run.path.join(name), step)
    }

    /// Begins the checkpoint of a step.
    pub fn checkpoint(&self, step: u64) -> Result<CheckpointWriter> {
        CheckpointWriter::new(&self.files, &self.run.checkpoints(), step)
    }

    /// Removes all checkpoints but the last `keep`, and that of a step which stays whatever comes after it.
    pub fn prune(&self, keep: usize, stays: Option<u64>) -> Result<()> {
        let mut list = checkpoint::list(&self.run.checkpoints())?;
        list.retain(|checkpoint| Some(checkpoint.step) != stays);
        let surplus = list.len().saturating_sub(keep.max(1));
        list[..surplus].iter().try_for_each(|old| self.files.remove_folder(&old.path))
    }

    /// Says that the run came to its end, holding so many bytes; its records are as they stay.
    pub fn finish(&self, memory_bytes: u64) -> Result<()> {
        let path = self.run.path.join("DONE");
        let seal = serde_json::to_vec(&Seal::of(&self.run.path, memory_bytes)?);
        self.files.replace(&path, &seal.map_err(|e| Error::damaged(&path, e.to_string()))?)
    }
}

fn lock(path: &Path) -> Result<File> {
    let file = path.join("lock");
    let lock = File::create(&file).map_err(Error::io("create", &file))?;
    files::lock(&lock, path)?;
    Ok(lock)
}
