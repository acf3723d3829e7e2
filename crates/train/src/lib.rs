//! Training: schedules, the step, reduction over micro-batches and ranks, evaluation, checkpoints,
//! the loop.
//!
//! Read [`Replica`] (one step of one rank), then the loop in `run.rs`. What is trained at a step is a
//! pure function of the configuration and the step, so that a run that was stopped goes on as if it
//! had not been.
#![forbid(unsafe_code)]

mod ahead;
mod branch;
mod checkpoint;
mod config;
mod coordinates;
mod error;
mod evaluate;
mod events;
mod lane;
mod memory;
mod reduce;
mod replica;
mod run;
mod schedule;

pub use branch::{branch, branches_from};
pub use checkpoint::{State, made_with};
pub use config::{
    Branch, Checkpoints, DataConfig, Evaluation, Foretold, FurtherSet, Machine, NonFinite, OptimiserConfig,
    Origin, Samples, SetKind, TrainConfig,
};
pub use coordinates::{Change, coordinates};
pub use error::{Error, Result};
pub use evaluate::{Evaluator, Held};
pub use events::{EvalLine, Events, Quiet, SampleLine, SetScores, StepLine};
pub use lane::{Fill, lanes};
pub use memory::{Memory, step_flops};
pub use reduce::{InProcess, Numbers, Reduce, Solo};
pub use replica::{Replica, Stepped, step_graph, upload};
pub use run::{Outcome, Session, train};
pub use schedule::{Kind as ScheduleKind, Schedule};
