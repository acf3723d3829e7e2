//! A folder that appears whole or not at all.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};

use crate::error::{Error, Result};
use crate::manifest;

/// A folder being written beside its final place. Dropped before [`Publication::publish`], it is removed.
pub(crate) struct Publication {
    target: PathBuf,
    folder: PathBuf,
    done: bool,
    /// The mark, locked for as long as somebody writes here, however that ends.
    _lock: File,
}

/// Marks a folder as ours to remove, should it be found half-written.
const MARK: &str = ".foretell-unfinished";

impl Publication {
    /// Makes the folder to write into. A target that exists is refused unless it is empty, or `force` is
    /// given and it is a data folder.
    pub(crate) fn begin(target: &Path, force: bool) -> Result<Publication> {
        let name = target
            .file_name()
            .ok_or_else(|| Error::Config(format!("{}: is no name for a data folder", target.display())))?;
        if target.exists() {
            let is_data = target.join(manifest::FILE).is_file();
            let is_empty =
                target.is_dir() && fs::read_dir(target).map_err(Error::io("list", target))?.next().is_none();
            if !is_empty && !force {
                return Err(Error::Exists { path: target.to_path_buf() });
            }
            if !is_empty && !is_data {
                return Err(Error::Config(format!(
                    "{} is there already and is no data folder, so it is not replaced even with --force; \
                     choose another place",
                    target.display()
                )));
            }
        }
        let parent = match target.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent,
            _ => Path::new("."),
        };
        fs::create_dir_all(parent).map_err(Error::io("create the folder", parent))?;
        let mut hidden = std::ffi::OsString::from(".");
        hidden.push(name);
        hidden.push(".unfinished");
        let folder = parent.join(hidden);
        if folder.exists() {
            // Left by a build that was killed.
            let Ok(mark) = File::open(folder.join(MARK)) else {
                return Err(Error::Exists { path: folder });
            };
            record::lock(&mark, target)?;
            fs::remove_dir_all(&folder).map_err(Error::io("remove", &folder))?;
        }
        fs::create_dir(&folder).map_err(Error::io("create the folder", &folder))?;
        let mark = folder.join(MARK);
        let mark = File::create(&mark).map_err(Error::io("create", &mark))?;
        record::lock(&mark, target)?;
        Ok(Publication { target: target.to_path_buf(), folder, done: false, _lock: mark })
    }

    /// Where to write.
    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Removes what was written so far.
    pub(crate) fn clear(&self) -> Result<()> {
        for entry in fs::read_dir(&self.folder).map_err(Error::io("list", &self.folder))? {
            let entry = entry.map_err(Error::io("list", &self.folder))?;
            if entry.file_name() != MARK {
                fs::remove_file(entry.path()).map_err(Error::io("remove", &entry.path()))?;
            }
        }
        Ok(())
    }

    /// Writes and syncs a file.
    pub(crate) fn write(&self, name: &str, bytes: &[u8]) -> Result<()> {
        let path = self.folder.join(name);
        let mut file = File::create(&path).map_err(Error::io("create", &path))?;
        file.write_all(bytes).map_err(Error::io("write", &path))?;
        file.sync_all().map_err(Error::io("write", &path))
    }

    /// Puts the folder in its place.
    pub(crate) fn publish(mut self) -> Result<()> {
        let mark = self.folder.join(MARK);
        fs::remove_file(&mark).map_err(Error::io("remove", &mark))?;
        sync_folder(&self.folder)?;
        let mut old = None;
        if self.target.exists() {
            let beside = self.folder.with_extension("replaced");
            if beside.exists() {
                fs::remove_dir_all(&beside).map_err(Error::io("remove", &beside))?;
            }
            fs::rename(&self.target, &beside).map_err(Error::io("rename", &self.target))?;
            old = Some(beside);
        }
        if let Err(error) = fs::rename(&self.folder, &self.target) {
            if let Some(old) = &old {
                // Put back what was there.
                let _ = fs::rename(old, &self.target);
            }
            return Err(Error::io("rename", &self.folder)(error));
        }
        self.done = true;
        if let Some(parent) = self.target.parent().filter(|parent| !parent.as_os_str().is_empty()) {
            sync_folder(parent)?;
        }
        if let Some(old) = old {
            fs::remove_dir_all(&old).map_err(Error::io("remove", &old))?;
        }
        Ok(())
    }
}

impl Drop for Publication {
    fn drop(&mut self) {
        if !self.done {
            let _ = fs::remove_dir_all(&self.folder);
        }
    }
}

/// Makes the names in a folder last, where the system can.
fn sync_folder(folder: &Path) -> Result<()> {
    #[cfg(unix)]
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(Error::io("sync the folder", folder))?;
    #[cfg(not(unix))]
    let _ = folder;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_do_not_build_the_same_folder_and_one_that_was_left_is_taken_over() {
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join("data");
        let first = Publication::begin(&target, false).unwrap();
        let refused = Publication::begin(&target, false).err().unwrap().to_string();
        assert!(refused.contains("another process"), "{refused}");
        first.write("kept", b"1").unwrap();
        first.publish().unwrap();
        assert!(target.join("kept").is_file());

        let left = folder.path().join(".other.unfinished");
        fs::create_dir(&left).unwrap();
        fs::write(left.join(MARK), "").unwrap();
        fs::write(left.join("half"), "").unwrap();
        Publication::begin(&folder.path().join("other"), false).unwrap().publish().unwrap();
        assert!(!folder.path().join("other/half").exists());
    }
}
