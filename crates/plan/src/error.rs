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
    /// The run would not fit into memory.
    #[error("the run needs {need_mb:.0} MB of memory and {have_mb:.0} MB are available: {parts}")]
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
        "the run would see its {tokens} training tokens {epochs:.1} times, and beyond {most} times more \
         passes teach nothing: add data, lower the budget, or --set max_epochs={epochs:.0}"
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
    /// The engine refused.
    #[error(transparent)]
    Engine(#[from] engine::Error),
    /// The model refused.
    #[error(transparent)]
    Model(#[from] model::Error),
}

/// Results of this crate.
pub type Result<T> = std::result::Result<T, Error>;
