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
            if !folder.join(MARK).is_file() {
                return Err(Error::Exists { path: folder });
            }
            fs::remove_dir_all(&folder).map_err(Error::io("remove", &folder))?;
        }
        fs::create_dir(&folder).map_err(Error::io("create the folder", &folder))?;
        let publication = Publication { target: target.to_path_buf(), folder, done: false };
        publication.write(MARK, b"")?;
        Ok(publication)
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
