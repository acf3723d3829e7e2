//! What can go wrong in training.

use std::path::PathBuf;

/// Results of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// An error of this crate.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A setting that cannot be.
    #[error("{name} = {value}: {reason}")]
    Setting {
        /// The setting, as in `run.toml`.
        name: String,
        /// What was given.
        value: String,
        /// What is wrong, and what may be given.
        reason: String,
    },
    /// A `run.toml` that cannot be read.
    #[error("{}: {reason}", path.display())]
    Config {
        /// The file.
        path: PathBuf,
        /// What the parser says, with the line.
        reason: String,
    },
    /// The data is not the data that the run was begun with.
    #[error(
        "{} holds other data than the run was begun with ({field} {got}, not {expected}); \
         give it the folder that it was begun with", path.display()
    )]
    OtherData {
        /// The data folder.
        path: PathBuf,
        /// Which hash.
        field: &'static str,
        /// As in `run.toml`.
        expected: String,
        /// Found.
        got: String,
    },
    /// The loss or a gradient is no number.
    #[error(
        "step {step}: the loss is {loss} and the gradient's norm {norm}; the rule non_finite = \"{rule}\" \
         stops here. {saved}; a lower schedule.peak usually helps"
    )]
    NonFinite {
        /// The step.
        step: u64,
        /// Its loss.
        loss: f64,
        /// Its gradient's norm.
        norm: f64,
        /// `stop`, or `skip` after too many in a row.
        rule: &'static str,
        /// What is saved.
        saved: String,
    },
    /// Every checkpoint of a run is damaged.
    #[error("no checkpoint of {} can be used: {}", path.display(), reasons.join("; "))]
    NoCheckpoint {
        /// The run.
        path: PathBuf,
        /// What is wrong with each.
        reasons: Vec<String>,
    },
    /// A file of a checkpoint that does not fit the run.
    #[error("{}: {reason}", path.display())]
    Checkpoint {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// A `run.toml` that was changed after a checkpoint was made with it.
    #[error(
        "{} was changed after the checkpoint of step {step} was made, so going on would make neither run: restore \
         it, or train anew with `foretell train --config {}`", path.display(), path.display()
    )]
    Edited {
        /// The file.
        path: PathBuf,
        /// The checkpoint's.
        step: u64,
    },
    /// A run that cannot begin where another left off.
    #[error("the run of {steps} steps cannot branch off one of {others}: {reason}")]
    Branch {
        /// Its steps.
        steps: u64,
        /// The other's.
        others: u64,
        /// Why.
        reason: String,
    },
    /// Another rank failed, and says why.
    #[error("another rank failed")]
    Rank,
    /// Samples could not be drawn.
    #[error("samples at step {step}: {reason}")]
    Samples {
        /// The step.
        step: u64,
        /// Why.
        reason: String,
    },
    /// A further set could not be scored.
    #[error("the set {name} at step {step}: {reason}")]
    Set {
        /// The set's name.
        name: String,
        /// The step.
        step: u64,
        /// Why.
        reason: String,
    },
    /// The engine refused.
    #[error(transparent)]
    Engine(#[from] engine::Error),
    /// The model refused.
    #[error(transparent)]
    Model(#[from] model::Error),
    /// The data refused.
    #[error(transparent)]
    Data(#[from] data::Error),
    /// The run folder refused.
    #[error(transparent)]
    Record(#[from] record::Error),
}

impl Error {
    pub(crate) fn setting(name: &str, value: impl ToString, reason: impl Into<String>) -> Error {
        Error::Setting { name: name.into(), value: value.to_string(), reason: reason.into() }
    }
}
