//! From finished runs to the loss of one that nobody has paid for yet.
//!
//! Rows of (N, D, C, loss) come in, from anywhere; laws, predictions with intervals, back-tests and
//! refusals come out. Nothing here opens a file, reads a clock or draws a random number: the same rows give
//! the same bits.
//!
//! Read [`Run`], then [`law`] (what a loss is taken to be), [`foresight`] (the prediction, and why it
//! averages over laws instead of choosing one), [`backtest`] (how far off it was where the outcome is
//! known), [`support`] (when it says no), [`forecast`] (all of it in one call), [`next`] (which further run
//! would say most), [`capability`] and [`questions`] (shares of questions instead of losses). [`Optimum`] is the best value of a setting.
#![forbid(unsafe_code)]

pub mod backtest;
pub mod capability;
mod error;
pub mod forecast;
pub mod foresight;
mod grid;
pub mod law;
pub mod linked;
mod median;
mod minimise;
mod mixture;
pub mod next;
mod noise;
mod optimum;
mod pair;
pub mod questions;
mod run;
mod squares;
pub mod support;
mod view;

pub use error::{Error, Result};
pub use forecast::{Family, Forecast, foretell};
pub use foresight::{Foresight, Prediction};
pub use median::median;
pub use mixture::{Interval, LEVELS};
pub use noise::Noise;
pub use optimum::{Optimum, Tried};
pub use run::{Run, Target};
