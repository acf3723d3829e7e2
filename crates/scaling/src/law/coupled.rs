//! `L(N, D) = E + (A·N^(−α) + B·D^(−β))^γ`: want of parameters and want of tokens are not felt apart
//! (Busbridge et al., arXiv:2502.08606, equation 7 for the supervised loss; γ = 1 is the joint law).

use super::{Law, centre, check, huber, places};
use crate::minimise::simplex;
use crate::squares::Normal;
use crate::{Result, Run};
use serde::{Deserialize, Serialize};

/// Loss against parameters and tokens, coupled.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct CoupledLaw {
    /// Irreducible loss.
    pub e: f64,
    /// Of the parameters, at one.
    pub a: f64,
    /// Of the tokens, at one.
    pub b: f64,
    /// Exponent of parameters.
    pub alpha: f64,
    /// Exponent of tokens.
    pub beta: f64,
    /// Exponent of the sum.
    pub gamma: f64,
}

impl Law for CoupledLaw {
    const NAME: &'static str = "coupled";
    const FORMULA: &'static str = "L(N, D) = E + (A·N^(−α) + B·D^(−β))^γ";
    const CONSTANTS: &'static [&'static str] = &["E", "A", "B", "α", "β", "γ"];

    fn fit(runs: &[Run]) -> Result<CoupledLaw> {
        check::<CoupledLaw>(runs, places(runs))?;
        let lowest = runs.iter().map(|run| run.loss).fold(f64::INFINITY, f64::min);
        let n0 = centre(runs.iter().map(|run| run.parameters));
        let d0 = centre(runs.iter().map(|run| run.tokens));
        // What is searched: E as a share of the lowest loss (by its logit), ln α, ln β, ln γ. A and B solve a
        // linear problem for (L − E)^(1/γ), whose residuals are brought back to those of L by its slope.
        let open = |x: &[f64; 4]| (lowest / (1.0 + (-x[0]).exp()), x[1].exp(), x[2].exp(), x[3].exp());
        let solve = |x: &[f64; 4]| -> [f64; 2] {
            let (e, alpha, beta, gamma) = open(x);
            let mut normal = Normal::default();
            for run in runs {
                let z = (run.loss - e).powf(1.0 / gamma);
                let slope = gamma * z.powf(gamma - 1.0) / run.loss;
                let row = [0.0, (run.parameters / n0).powf(-alpha), (run.tokens / d0).powf(-beta)];
                normal.add(row, z, slope * slope);
            }
            let [_, a, b] = normal.solve(&[0b110, 0b010, 0b100]).coefficients;
            [a, b]
        };
        let sum = |x: &[f64; 4]| {
            let (e, alpha, beta, gamma) = open(x);
            if !(0.02..3.0).contains(&alpha) || !(0.02..3.0).contains(&beta) || !(0.1..5.0).contains(&gamma) {
                return f64::INFINITY;
            }
            let [a, b] = solve(x);
            let value = |run: &Run| {
                let inner = a * (run.parameters / n0).powf(-alpha) + b * (run.tokens / d0).powf(-beta);
                e + inner.powf(gamma)
            };
            runs.iter().map(|run| huber(value(run) / run.loss - 1.0)).sum()
        };
        let mut starts = Vec::new();
        for share in [-1.0, 0.5, 2.0] {
            for power in [0.25f64, 0.45] {
                for gamma in [0.6f64, 1.0, 1.5] {
                    let x = [share, power.ln(), power.ln(), gamma.ln()];
                    starts.push((x, sum(&x)));
                }
            }
        }
        starts.sort_by(|a, b| a.1.total_cmp(&b.1));
        let polish = |start: [f64; 4]| {
            let (x, _) = simplex(start, [0.4, 0.15, 0.15, 0.15], 800, sum);
            simplex(x, [0.1, 0.05, 0.05, 0.05], 800, sum)
        };
        let (found, _) = starts[..4]
            .iter()
            .map(|(start, _)| polish(*start))
            .min_by(|a, b| a.1.total_cmp(&b.1))
            .unwrap_or(starts[0]);
        let (e, alpha, beta, gamma) = open(&found);
        let [a, b] = solve(&found);
        Ok(CoupledLaw { e, a: a * n0.powf(alpha), b: b * d0.powf(beta), alpha, beta, gamma })
    }

    fn loss(&self, parameters: f64, tokens: f64, _: f64) -> f64 {
        let inner = self.a * parameters.powf(-self.alpha) + self.b * tokens.powf(-self.beta);
        self.e + inner.powf(self.gamma)
    }

    fn constants(&self) -> Vec<f64> {
        vec![self.e, self.a, self.b, self.alpha, self.beta, self.gamma]
    }
}
