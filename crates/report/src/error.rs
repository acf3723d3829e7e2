//! What can go wrong when records are read for a report.

use std::path::PathBuf;

/// Results of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// An error of this crate; each names the file.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A record cannot be read.
    #[error(transparent)]
    Record(#[from] record::Error),
    /// A record does not hold what it should.
    #[error("{}: {what}", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        what: String,
    },
}
