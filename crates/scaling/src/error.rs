//! What can be wrong with rows of runs.

/// Results of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// An error of this crate.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum Error {
    /// A number that no run has.
    #[error("{name} of {value}: it must be positive and finite")]
    Value {
        /// Of which field.
        name: &'static str,
        /// The number.
        value: f64,
    },
    /// Fewer runs than a law has constants.
    #[error("{law} has {constants} constants and needs at least as many different runs; there are {runs}")]
    Few {
        /// Which law.
        law: &'static str,
        /// Its constants.
        constants: usize,
        /// Runs there are.
        runs: usize,
    },
    /// The runs say nothing about what is asked.
    #[error("no prediction: {}", .0.join("; "))]
    Refused(
        /// Every reason.
        Vec<String>,
    ),
}
