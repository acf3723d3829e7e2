//! What can go wrong before a kernel runs.

use crate::Isa;

/// An error of this crate.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A name that is no instruction set.
    #[error("'{0}' is no instruction set; choose avx512, avx2, neon or portable")]
    UnknownIsa(String),
    /// A set that the CPU lacks.
    #[error("this CPU has no {missing}; it has {}", available.iter().map(Isa::to_string).collect::<Vec<_>>().join(", "))]
    MissingIsa {
        /// The set asked for.
        missing: Isa,
        /// The sets that it has.
        available: Vec<Isa>,
    },
    /// A thread count that cannot be had.
    #[error("{0} threads cannot be started; choose 1 to 1024")]
    Threads(usize),
    /// Memory that cannot be had.
    #[error("{words} words of memory: {reason}")]
    Memory {
        /// 4-byte words asked for.
        words: usize,
        /// What the system said.
        reason: String,
    },
    /// A file that cannot be mapped.
    #[error("the file cannot be mapped: {0}")]
    Map(std::io::Error),
}
