//! A finished run, as far as a law knows it, and one to come.

use crate::{Error, Result};
use serde::{Deserialize, Serialize};

/// A finished run.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Run {
    /// N: parameters that multiply, or whatever count the whole family of runs uses.
    pub parameters: f64,
    /// D: tokens trained on.
    pub tokens: f64,
    /// C: floating-point operations of training.
    pub flops: f64,
    /// Held-out loss, in any unit that is zero when nothing is left to learn.
    pub loss: f64,
}

/// A run to be foretold.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Target {
    /// N, counted as for the runs.
    pub parameters: f64,
    /// D.
    pub tokens: f64,
}

impl Run {
    /// Refuses what no finished run has.
    pub fn check(&self) -> Result<()> {
        for (name, value) in [
            ("parameters", self.parameters),
            ("tokens", self.tokens),
            ("FLOP", self.flops),
            ("loss", self.loss),
        ] {
            if !(value.is_finite() && value > 0.0) {
                return Err(Error::Value { name, value });
            }
        }
        Ok(())
    }

    /// Tokens a parameter.
    pub fn ratio(&self) -> f64 {
        self.tokens / self.parameters
    }

    /// What would have been asked before it ran.
    pub fn target(&self) -> Target {
        Target { parameters: self.parameters, tokens: self.tokens }
    }
}

impl Target {
    /// Refuses what no run can have.
    pub fn check(&self) -> Result<()> {
        for (name, value) in [("parameters", self.parameters), ("tokens", self.tokens)] {
            if !(value.is_finite() && value > 0.0) {
                return Err(Error::Value { name, value });
            }
        }
        Ok(())
    }

    /// Tokens a parameter.
    pub fn ratio(&self) -> f64 {
        self.tokens / self.parameters
    }
}
