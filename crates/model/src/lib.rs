//! The GPT as a function from a configuration to a graph; parametrisation; weights in and out.
//!
//! Read [`gpt`] first. Nothing here opens a file: bytes come in and go out.
#![forbid(unsafe_code)]

pub mod config;
mod error;
pub mod gguf;
pub mod gpt;
mod graft;
pub mod parametrisation;
pub mod vision;
pub mod weights;

pub use config::{Config, Eyes, Sizes};
pub use error::Error;
pub use gpt::{DecodeGraph, ScoreGraph, TrainGraph};
pub use graft::{difference, graft};
