//! Run folders, metrics, manifests and hashes: what a run leaves behind, and how it survives a kill.
//!
//! ```text
//! RUN/  run.toml        everything resolved
//!       metrics.jsonl   a line a step
//!       checkpoints/000001000/ {…, manifest.json}
//!       events.out.tfevents.*  on request
//!       DONE            the last checkpoint is the end; hashes of the records as they were then
//!       lock            held while the run is written
//! ```
#![forbid(unsafe_code)]

mod answers;
mod checkpoint;
mod error;
mod files;
mod metrics;
mod registry;
mod run;
mod table;
mod tensorboard;
pub mod wandb;

pub use answers::Answered;
pub use checkpoint::{Checkpoint, CheckpointWriter, Manifest};
pub use error::{Error, Result};
pub use files::{FileWriter, Files, lock};
pub use metrics::{Line, MetricsWriter, read_metrics};
pub use registry::{Entry, Registry};
pub use run::{Run, RunWriter, Seal};
pub use table::{Row, Table, TableBuilder};
pub use tensorboard::{EventWriter, Events, Scalar, framed};

/// The hash that records name a file's content by: BLAKE3, in hexadecimal.
pub fn hash(bytes: &[u8]) -> String {
    blake3::hash(bytes).to_hex().to_string()
}
