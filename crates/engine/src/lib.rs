//! Graphs of typed operations, their gradients, the memory plan and the executor.
//!
//! The way through: build a [`Graph`] of operations (one file each under [`op`]), ask [`gradient`]
//! for more of it, let a [`Device`] compile it into an [`Executable`], then upload, run, download.
//! Parameters, gradients and caches live in named [`Store`]s that several executables share.
//! Nothing here opens a file or reads a clock; the instruction set and the thread count are
//! arguments of [`CpuDevice`].
#![forbid(unsafe_code)]

mod cpu;
mod device;
mod error;
mod gradient;
mod graph;
pub mod op;
mod operation;
mod plan;
mod recompute;
mod reference;
mod store;
mod types;
pub mod update;

pub use cpu::{CpuDevice, CpuExecutable};
pub use device::{Data, Device, Executable};
pub use error::Error;
pub use gradient::{Backward, gradient};
pub use graph::{Graph, NodeView, Source, Value};
pub use operation::{Call, Operation};
pub use plan::{Memory, NodePlan, Output, Plan, plan};
pub use recompute::recompute;
pub use reference::{Tensor, evaluate};
pub use store::{Layout, Store};
pub use types::{DType, Type};
