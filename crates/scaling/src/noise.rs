//! How much equal runs differ: seeds of the weights and of the order of data, measured where a family has
//! several runs of one size.

use crate::Run;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Pooled over all sizes with several runs.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Noise {
    /// Standard deviation of the logarithm of the loss: relative, between runs that differ by their seed alone.
    pub deviation: f64,
    /// Degrees of freedom: runs of such sizes less the number of sizes.
    pub freedom: f64,
}

impl Noise {
    /// Of runs with the same N and D; `None` where no two are alike.
    pub fn measure(runs: &[Run]) -> Option<Noise> {
        let rows: Vec<(Run, f64)> = runs.iter().map(|run| (*run, 1.0)).collect();
        let (squares, freedom) = Noise::pool(&rows);
        (freedom > 0.0).then(|| Noise { deviation: (squares / freedom).sqrt(), freedom })
    }

    /// Sum of squares of log losses about the means of their sizes, and its degrees of freedom; each size counts as much as
    /// its runs weigh, which they do alike.
    pub(crate) fn pool(rows: &[(Run, f64)]) -> (f64, f64) {
        let mut same = BTreeMap::<(u64, u64), (f64, Vec<f64>)>::new();
        for (run, weight) in rows {
            let key = (run.parameters.to_bits(), run.tokens.to_bits());
            let (of, logs) = same.entry(key).or_insert((0.0, Vec::new()));
            *of = weight.max(*of);
            logs.push(run.loss.ln());
        }
        let (mut squares, mut freedom) = (0.0, 0.0);
        for (weight, logs) in same.values() {
            let mean = logs.iter().sum::<f64>() / logs.len() as f64;
            squares += weight * logs.iter().map(|log| (log - mean).powi(2)).sum::<f64>();
            freedom += weight * (logs.len() as f64 - 1.0);
        }
        (squares, freedom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(parameters: f64, loss: f64) -> Run {
        Run { parameters, tokens: 1e6, flops: 6e6 * parameters, loss }
    }

    #[test]
    fn only_runs_of_one_size_are_compared() {
        assert_eq!(Noise::measure(&[run(1e3, 3.0), run(2e3, 2.0)]), None);
        let x = 0.004f64;
        let runs = [run(1e3, 3.0), run(1e3, 3.0 * x.exp()), run(2e3, 2.0), run(2e3, 2.0 * x.exp())];
        let noise = Noise::measure(&runs).unwrap();
        assert_eq!(noise.freedom, 2.0);
        // Two runs that differ by x: x²/2 each.
        assert!((noise.deviation - x / 2f64.sqrt()).abs() < 1e-9, "{noise:?}");
    }
}
