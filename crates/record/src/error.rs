//! What can go wrong with a folder of records.

use std::path::{Path, PathBuf};

/// Results of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// An error of this crate; each names the file and, where there is one, the remedy.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file operation failed.
    #[error("cannot {action} {}: {}", path.display(), explain(source))]
    Io {
        /// What was tried.
        action: &'static str,
        /// On what.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// Another process writes this folder.
    #[error("{} is being written by another process; wait for it, or stop it", path.display())]
    Locked {
        /// The folder.
        path: PathBuf,
    },
    /// A folder that would be overwritten.
    #[error("{} exists already and is not empty; choose another folder, or `resume` it if it is a run", path.display())]
    Exists {
        /// The folder.
        path: PathBuf,
    },
    /// A folder that is no run.
    #[error("{} is no run: it has no run.toml", path.display())]
    NoRun {
        /// The folder.
        path: PathBuf,
    },
    /// A file that was altered, torn, or written by something else.
    #[error("{}: {what}", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        what: String,
    },
}

impl Error {
    /// Wraps an I/O error with what was tried on which path.
    pub fn io(action: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> Error {
        let path = path.to_path_buf();
        move |source| Error::Io { action, path, source }
    }

    pub(crate) fn damaged(path: &Path, what: impl Into<String>) -> Error {
        Error::Damaged { path: path.into(), what: what.into() }
    }
}

/// The system's message, with the remedy where it is known.
fn explain(error: &std::io::Error) -> String {
    use std::io::ErrorKind::{NotFound, PermissionDenied, ReadOnlyFilesystem, StorageFull};
    let remedy = match error.kind() {
        StorageFull => "; free some space, then `resume`",
        ReadOnlyFilesystem => "; choose a folder that can be written",
        PermissionDenied => "; check the permissions or choose another folder",
        NotFound => "; check the path",
        _ => "",
    };
    format!("{error}{remedy}")
}
