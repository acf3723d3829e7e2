//! Budget to shape and tokens; the machine's probe to seconds; what a run costs before it runs.
//!
//! Read [`rules`] for what is decided how, then [`Plan`], which puts them together.
#![forbid(unsafe_code)]

mod budget;
mod decoding;
mod elsewhere;
mod error;
pub mod ladder;
mod machine;
mod made;
pub mod rules;
mod settings;
mod shape;
mod site;
pub mod sizes;
mod stopwatch;
mod target;
pub mod transfer;

pub use budget::Budget;
pub use elsewhere::{Elsewhere, Roof};
pub use error::{Error, Result};
pub use machine::{Cost, Probe, bandwidth, peak};
pub use made::{Adjust, Corpus, Plan, Request, Seconds, check_memory, check_run, configure};
pub use settings::Settings;
pub use shape::{Family, Shape, Sight, depth, grid, widths};
pub use site::{Site, Timed};
pub use stopwatch::{Stopwatch, step_config};
