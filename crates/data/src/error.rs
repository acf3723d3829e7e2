//! What can go wrong with data, said so that a user can act on it.

use std::io;
use std::path::{Path, PathBuf};

/// Result of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// An error of this crate. Every message names the thing, the place and, where there is one, the remedy.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file operation failed.
    #[error("cannot {action} {}: {}", path.display(), explain(source))]
    Io {
        /// What was tried: `read`, `write`, …
        action: &'static str,
        /// On what.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Input that is not what it claims to be, met with `strict` set.
    #[error("{place}: {what} (drop `strict` to skip what is malformed and count it)")]
    Malformed {
        /// File, or file:line.
        place: String,
        /// What is wrong there.
        what: String,
    },
    /// A file of a data folder that was altered, truncated, or written by something else.
    #[error("{}: {what}; build the data again", path.display())]
    Corrupt {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        what: String,
    },
    /// A configuration that makes no sense.
    #[error("{0}")]
    Config(String),
    /// A tokenizer that cannot be read, trained or used.
    #[error("tokenizer {place}: {what}")]
    Tokenizer {
        /// File, or `training`.
        place: String,
        /// What is wrong.
        what: String,
    },
    /// An image that cannot be read.
    #[error("{place}: {what} (--skip-broken-images leaves such documents out and counts them)")]
    Image {
        /// The document.
        place: String,
        /// Why.
        what: String,
    },
    /// The target folder is there already.
    #[error("{} exists already; choose another folder or pass --force to replace it", path.display())]
    Exists {
        /// The folder.
        path: PathBuf,
    },
    /// Another process builds the folder, or it cannot be locked.
    #[error(transparent)]
    Locked(#[from] record::Error),
    /// Nothing was left to write.
    #[error("{0}")]
    Empty(String),
    /// The caller asked to stop.
    #[error("stopped before the data was complete; nothing was written")]
    Stopped,
}

impl Error {
    /// Wraps an I/O error with what was tried on which path.
    pub(crate) fn io(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Error {
        let path = path.to_path_buf();
        move |source| Error::Io { action, path, source }
    }

    /// A data file that is not as it was written.
    pub(crate) fn corrupt(path: &Path, what: impl Into<String>) -> Error {
        Error::Corrupt { path: path.to_path_buf(), what: what.into() }
    }

    /// A tokenizer problem at a place.
    pub(crate) fn tokenizer(place: impl ToString, what: impl ToString) -> Error {
        Error::Tokenizer { place: place.to_string(), what: what.to_string() }
    }
}

/// The system's message, with the remedy where it is known.
fn explain(error: &io::Error) -> String {
    let remedy = match error.kind() {
        io::ErrorKind::StorageFull => "; free some space or choose another disk",
        io::ErrorKind::ReadOnlyFilesystem => "; choose a folder that can be written",
        io::ErrorKind::PermissionDenied => "; check the permissions or choose another folder",
        io::ErrorKind::NotFound => "; check the path",
        _ => "",
    };
    format!("{error}{remedy}")
}
