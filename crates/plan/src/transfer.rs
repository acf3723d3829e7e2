//! The design of a transfer test: sweeps of small runs that say whether what is best for a small model is best for a
//! large one, and whether the rules of this crate find it.

use crate::ladder::Design;
use crate::{Corpus, Error, Result, Settings, Shape, rules};
use serde::{Deserialize, Serialize};
use std::fmt;

/// What is swept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Sweep {
    /// Rates at sizes of model, batch and horizon fixed: the transfer itself.
    Rate,
    /// Widths at the rule's rate and equal tokens.
    Width,
    /// Depths, the same.
    Depth,
    /// Rates at horizons.
    Horizon,
    /// Batches at horizons, with the rate that goes with each.
    Batch,
    /// Weight decays at horizons.
    Decay,
    /// Lengths of warm-up at horizons.
    Warmup,
}

impl fmt::Display for Sweep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Sweep::Rate => "rate",
            Sweep::Width => "width",
            Sweep::Depth => "depth",
            Sweep::Horizon => "horizon",
            Sweep::Batch => "batch",
            Sweep::Decay => "decay",
            Sweep::Warmup => "warmup",
        })
    }
}

/// A run of a sweep.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Trial {
    /// Its folder.
    pub name: String,
    /// Of which sweep.
    pub sweep: Sweep,
    /// Its model.
    pub shape: Shape,
    /// Tokens that it trains on, about: whole steps.
    pub tokens: f64,
    /// Rows a step.
    pub rows: usize,
    /// Highest learning rate.
    pub rate: f64,
    /// Weight decay.
    pub decay: f64,
    /// Steps of warm-up.
    pub warmup: u64,
    /// Of its weights and its order of the data.
    pub seed: u64,
    /// The swept setting, as a multiple of the rule's; the width or depth themselves.
    pub x: f64,
}

impl Trial {
    /// Steps.
    pub fn steps(&self) -> u64 {
        ((self.tokens / (self.rows * self.shape.seq) as f64).round() as u64).max(1)
    }

    /// FLOP.
    pub fn flops(&self) -> f64 {
        self.shape.flops_per_token() * (self.steps() * (self.rows * self.shape.seq) as u64) as f64
    }

    /// What a plan fixes for it.
    pub fn settings(&self) -> Settings {
        Settings {
            rows: Some(self.rows),
            steps: Some(self.steps()),
            learning_rate: Some(self.rate),
            warmup_steps: Some(self.warmup),
            evals: Some(1),
            ..self.shape.settings()
        }
    }
}

/// What a test is to be.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TransferDesign {
    /// Tokens of every run of the rate sweep.
    pub tokens: f64,
    /// Seeds of every point.
    pub seeds: u64,
    /// Width and depth from the smallest to the largest of the rate sweep.
    pub sizes: Vec<(usize, usize)>,
}

/// Widths of the coordinate check and of wider-is-better.
pub const WIDTHS: [usize; 4] = [16, 32, 64, 128];

/// Depths of the coordinate check and of deeper-is-better.
pub const DEPTHS: [usize; 4] = [2, 4, 8, 16];

/// Width at which depths are compared, depth at which widths are, and width at which the rules are tested.
pub const WIDTH: usize = 32;

/// Depth at which widths are compared.
pub const DEPTH: usize = 2;

/// Steps of the coordinate check.
pub const STEPS: u64 = 10;

/// Multiples of the rule's rate that are tried.
const RATES: [f64; 7] = [0.125, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0];

/// Multiples of the other rules that are tried.
const FEW: [f64; 5] = [0.25, 0.5, 1.0, 2.0, 4.0];

/// Horizons at which rules are tested, in multiples of the rate sweep's.
const HORIZONS: [f64; 3] = [0.5, 2.0, 8.0];

impl TransferDesign {
    /// Three sizes 65 times apart in parameters.
    pub fn new(tokens: f64, seeds: u64) -> TransferDesign {
        TransferDesign { tokens, seeds, sizes: vec![(16, 2), (48, 3), (128, 4)] }
    }

    /// A model of the family that ladders are made of; one that sees has an encoder that grows with it.
    pub fn shape(corpus: &Corpus, width: usize, layers: usize) -> Shape {
        Shape { layers, ..Design::new(1e11).seeing(corpus).shape(width, corpus.vocab) }
    }

    /// All runs, from the cheapest to the dearest.
    pub fn trials(&self, corpus: &Corpus) -> Result<Vec<Trial>> {
        let refuse = |name: &str, value: f64, reason: &str| {
            Err(Error::Setting { name: name.into(), value: value.to_string(), reason: reason.into() })
        };
        if !(self.tokens.is_finite() && (1e3..=1e12).contains(&self.tokens)) {
            return refuse("tokens", self.tokens, "it must lie between 1e3 and 1e12");
        }
        if !(1..=100).contains(&self.seeds) {
            return refuse("seeds", self.seeds as f64, "it must lie between 1 and 100");
        }
        let mut trials = Vec::new();
        let mut add = |sweep, (width, layers), tokens: f64, x, change: &dyn Fn(&mut Trial)| {
            let shape = TransferDesign::shape(corpus, width, layers);
            for seed in 1..=self.seeds {
                let rows = shape.rows(tokens);
                let mut trial = Trial {
                    name: String::new(),
                    sweep,
                    shape,
                    tokens,
                    rows,
                    rate: 0.0,
                    decay: rules::DECAY,
                    warmup: 0,
                    seed,
                    x,
                };
                change(&mut trial);
                // What follows from the batch, unless it is what is changed.
                let batch = (trial.rows * shape.seq) as f64;
                let rule = rules::learning_rate(tokens, batch);
                trial.rate = if trial.rate > 0.0 { trial.rate * rule } else { rule };
                if trial.warmup == 0 {
                    trial.warmup = rules::warmup_steps(trial.steps());
                }
                trial.warmup = trial.warmup.clamp(1, trial.steps());
                trial.name = format!("{sweep}-{width}x{layers}-{:.0}k-{x}-s{seed}", tokens / 1e3);
                trials.push(trial);
            }
        };
        for &size in &self.sizes {
            for x in RATES {
                add(Sweep::Rate, size, self.tokens, x, &|trial| trial.rate = x);
            }
        }
        for width in WIDTHS {
            add(Sweep::Width, (width, DEPTH), self.tokens, width as f64, &|_| ());
        }
        for depth in DEPTHS {
            add(Sweep::Depth, (WIDTH, depth), self.tokens, depth as f64, &|_| ());
        }
        let base = TransferDesign::shape(corpus, WIDTH, DEPTH);
        for horizon in HORIZONS {
            let tokens = horizon * self.tokens;
            let size = (WIDTH, DEPTH);
            for x in FEW {
                add(Sweep::Horizon, size, tokens, x, &|trial| trial.rate = x);
                add(Sweep::Decay, size, tokens, x, &|trial| trial.decay *= x);
                add(Sweep::Warmup, size, tokens, x, &|trial| {
                    let rule = rules::warmup_steps(trial.steps()) as f64;
                    trial.warmup = ((x * rule).round() as u64).max(1);
                });
                let rows = x * base.rows(tokens) as f64;
                if rows >= 1.0 {
                    add(Sweep::Batch, size, tokens, x, &|trial| trial.rows = rows as usize);
                }
            }
        }
        trials.sort_by(|a, b| a.flops().total_cmp(&b.flops()));
        Ok(trials)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sweeps_span_what_they_promise() {
        let trials = TransferDesign::new(2e5, 3).trials(&Corpus::of_vocabulary(259)).unwrap();
        assert!(trials.is_sorted_by(|a, b| a.flops() <= b.flops()));
        let names: std::collections::BTreeSet<_> = trials.iter().map(|trial| &trial.name).collect();
        assert_eq!(names.len(), trials.len());
        let of = |sweep| trials.iter().filter(move |trial| trial.sweep == sweep);
        let sizes: Vec<u64> = of(Sweep::Rate).map(|trial| trial.shape.parameters()).collect();
        let span = *sizes.iter().max().unwrap() as f64 / *sizes.iter().min().unwrap() as f64;
        assert!(span >= 64.0, "{span}");
        // Batch and horizon of the rate sweep are fixed, and every point has its seeds.
        assert!(of(Sweep::Rate).all(|trial| (trial.rows, trial.tokens) == (1, 2e5)));
        assert_eq!(of(Sweep::Rate).count(), 3 * 7 * 3);
        assert!(WIDTHS[3] / WIDTHS[0] >= 8 && DEPTHS[3] / DEPTHS[0] >= 8);
        assert!(of(Sweep::Batch).all(|trial| trial.tokens / trial.rows as f64 >= 100.0));
        // What is not swept follows the rules.
        for trial in of(Sweep::Decay) {
            let batch = (trial.rows * trial.shape.seq) as f64;
            assert_eq!(trial.rate, rules::learning_rate(trial.tokens, batch));
        }
    }

    #[test]
    fn what_is_no_test_is_refused() {
        assert!(
            TransferDesign::new(f64::NAN, 3)
                .trials(&Corpus::of_vocabulary(259))
                .unwrap_err()
                .to_string()
                .contains("tokens")
        );
        assert!(
            TransferDesign::new(2e5, 0)
                .trials(&Corpus::of_vocabulary(259))
                .unwrap_err()
                .to_string()
                .contains("seeds")
        );
    }
}
