//! What can go wrong between a graph and its result.

use crate::types::Type;

/// An error of the engine; each names the operation or tensor and the sizes involved.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// An operation does not accept these inputs.
    #[error("{operation}: {reason} (inputs {inputs:?})")]
    Shape {
        /// The operation's name.
        operation: &'static str,
        /// What its shape rule says.
        reason: String,
        /// The types it was given.
        inputs: Vec<String>,
    },
    /// A gradient was asked through an operation that has none.
    #[error("{0} has no gradient; remove it from the path between the output and what is trained")]
    NoGradient(&'static str),
    /// A cotangent's type differs from its output's.
    #[error("the cotangent {cotangent} does not fit the output {output}")]
    Cotangent {
        /// Type of the output.
        output: Type,
        /// Type of the cotangent.
        cotangent: Type,
    },
    /// A name that no input, parameter or tensor has.
    #[error("no {kind} is called '{name}'")]
    Unknown {
        /// Input, parameter, state or tensor.
        kind: &'static str,
        /// The name.
        name: String,
    },
    /// A tensor or upload of another size than declared.
    #[error("'{name}' has {expected} but was given {got}")]
    Size {
        /// The tensor.
        name: String,
        /// What it holds.
        expected: String,
        /// What was handed in.
        got: String,
    },
    /// An integer input points outside of what it indexes.
    #[error("'{name}'[{index}] = {value} is outside {low}..{high}")]
    Index {
        /// The input.
        name: String,
        /// Place in it.
        index: usize,
        /// The value found.
        value: i64,
        /// Least allowed value.
        low: i64,
        /// First value that is too large.
        high: i64,
    },
    /// A value asked for that was not among the outputs.
    #[error("value {0} was not compiled as an output, so it cannot be downloaded")]
    NotKept(usize),
    /// A CPU that cannot be had.
    #[error(transparent)]
    Cpu(#[from] kernels::Error),
    /// A store of another layout than the one compiled for.
    #[error("the {0} store has another layout than the graph was compiled for")]
    Layout(&'static str),
    /// Memory that cannot be had.
    #[error("this needs {need_mb:.1} MB of memory in one piece, and it cannot be had: {reason}")]
    Memory {
        /// Megabytes asked for.
        need_mb: f64,
        /// What the system said.
        reason: String,
    },
}
