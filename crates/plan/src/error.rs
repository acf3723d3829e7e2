//! What can go wrong before a run begins.

/// An error of this crate: what was asked, why it cannot be, what to do.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A budget that cannot be read.
    #[error("budget '{text}': {reason}")]
    Budget {
        /// As it was given.
        text: String,
        /// What is wrong.
        reason: String,
    },
    /// A setting that cannot be.
    #[error("{name} = {value}: {reason}")]
    Setting {
        /// The setting.
        name: String,
        /// What was given.
        value: String,
        /// What is wrong.
        reason: String,
    },
    /// No shape fits the budget.
    #[error("{budget}: {reason}")]
    Infeasible {
        /// The budget.
        budget: String,
        /// Why not, with the nearest that could be.
        reason: String,
    },
    /// It would not fit into memory.
    #[error(
        "{need_mb:.0} MB of memory are needed and {have_mb:.0} MB are available ({parts}): free some, or ask for less"
    )]
    Memory {
        /// Megabytes needed.
        need_mb: f64,
        /// Megabytes there are.
        have_mb: f64,
        /// What takes them.
        parts: String,
    },
    /// The data would be seen too often.
    #[error(
        "the run would see its {tokens} training tokens {epochs:.2} times, more than max_epochs = {most}{}: \
         add data, lower the budget, or --set max_epochs={}",
        if *.most == crate::rules::EPOCHS_REFUSED { " (beyond that, more passes teach nothing)" } else { "" },
        enough(*.epochs)
    )]
    Epochs {
        /// Tokens of the data set.
        tokens: u64,
        /// How often each would be seen.
        epochs: f64,
        /// The bound.
        most: f64,
    },
    /// Training refused.
    #[error(transparent)]
    Train(#[from] train::Error),
    /// The data.
    #[error(transparent)]
    Data(#[from] data::Error),
    /// The engine refused.
    #[error(transparent)]
    Engine(#[from] engine::Error),
    /// The model refused.
    #[error(transparent)]
    Model(#[from] model::Error),
}

/// So many passes, rounded up to what reads well.
fn enough(epochs: f64) -> f64 {
    let unit = if epochs < 1.0 { 1e-3 } else { 1.0 };
    let up = (epochs / unit).ceil() * unit;
    // 0.257, and not 0.25700000000000001.
    format!("{up:.3}").parse().unwrap_or(up)
}

/// Results of this crate.
pub type Result<T> = std::result::Result<T, Error>;
