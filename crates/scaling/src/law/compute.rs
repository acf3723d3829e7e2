//! `L(C) = a·C^b + c`: the law of the GPT-4 report (SCL-2).

use super::{Law, centre, check, robust};
use crate::minimise::simplex;
use crate::{Result, Run};
use serde::{Deserialize, Serialize};

/// Loss against compute, along one way of spending it. Fitted to the best run of every tenth of a
/// decade, for only these lie on that way.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct ComputeLaw {
    /// Reducible loss at one FLOP.
    pub a: f64,
    /// Its exponent, negative.
    pub b: f64,
    /// Irreducible loss.
    pub c: f64,
}

/// The best run of every tenth of a decade of compute that is better than all cheaper ones.
fn frontier(runs: &[Run]) -> Vec<Run> {
    let mut sorted = runs.to_vec();
    sorted.sort_by(|a, b| a.flops.total_cmp(&b.flops).then(a.loss.total_cmp(&b.loss)));
    let mut best: Vec<Run> = Vec::new();
    for run in sorted {
        let tenth = |run: &Run| (10.0 * run.flops.log10()).floor();
        match best.last_mut() {
            Some(last) if run.loss >= last.loss => {}
            Some(last) if tenth(last) == tenth(&run) => *last = run,
            _ => best.push(run),
        }
    }
    best
}

impl Law for ComputeLaw {
    const NAME: &'static str = "compute";
    const FORMULA: &'static str = "L(C) = a·C^b + c";
    const CONSTANTS: &'static [&'static str] = &["a", "b", "c"];

    fn fit(runs: &[Run]) -> Result<ComputeLaw> {
        check::<ComputeLaw>(runs, usize::MAX)?;
        let best = frontier(runs);
        check::<ComputeLaw>(&best, best.len())?;
        let middle = centre(best.iter().map(|run| run.flops));
        let solve = |power: f64| {
            let rows: Vec<_> =
                best.iter().map(|run| ([1.0, (run.flops / middle).powf(-power), 0.0], run.loss)).collect();
            robust(&rows, &[0b011, 0b010, 0b001])
        };
        let sum = |x: &[f64; 1]| solve(x[0].exp()).1;
        let start = (0..40)
            .map(|k| [(0.01 * 1.12f64.powi(k)).ln()])
            .min_by(|a, b| sum(a).total_cmp(&sum(b)))
            .unwrap_or([0.05f64.ln()]);
        let ([power], _) = simplex(start, [0.05], 200, sum);
        let power = power.exp();
        let [c, a, _] = solve(power).0.coefficients;
        Ok(ComputeLaw { a: a * middle.powf(power), b: -power, c })
    }

    fn loss(&self, _: f64, _: f64, flops: f64) -> f64 {
        self.a * flops.powf(self.b) + self.c
    }

    fn constants(&self) -> Vec<f64> {
        vec![self.a, self.b, self.c]
    }
}
