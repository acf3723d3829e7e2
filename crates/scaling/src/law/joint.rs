//! `L(N, D) = E + A·N^(−α) + B·D^(−β)`: approach 3 of Hoffmann et al., arXiv:2203.15556.

use super::{Law, centre, check, places, robust};
use crate::minimise::simplex;
use crate::{Result, Run};
use serde::{Deserialize, Serialize};

/// Loss against parameters and tokens.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct JointLaw {
    /// Irreducible loss.
    pub e: f64,
    /// Loss for want of parameters, at one.
    pub a: f64,
    /// Loss for want of tokens, at one.
    pub b: f64,
    /// Exponent of parameters.
    pub alpha: f64,
    /// Exponent of tokens.
    pub beta: f64,
}

impl Law for JointLaw {
    const NAME: &'static str = "joint";
    const FORMULA: &'static str = "L(N, D) = E + A·N^(−α) + B·D^(−β)";
    const CONSTANTS: &'static [&'static str] = &["E", "A", "B", "α", "β"];

    fn fit(runs: &[Run]) -> Result<JointLaw> {
        check::<JointLaw>(runs, places(runs))?;
        let n0 = centre(runs.iter().map(|run| run.parameters));
        let d0 = centre(runs.iter().map(|run| run.tokens));
        let solve = |alpha: f64, beta: f64| {
            let row = |run: &Run| [1.0, (run.parameters / n0).powf(-alpha), (run.tokens / d0).powf(-beta)];
            let rows: Vec<_> = runs.iter().map(|run| (row(run), run.loss)).collect();
            robust(&rows, &[0b111, 0b110, 0b011, 0b101])
        };
        let sum = |x: &[f64; 2]| match x.iter().all(|x| (-4.6..1.1).contains(x)) {
            true => solve(x[0].exp(), x[1].exp()).1,
            false => f64::INFINITY,
        };
        let steps = [0.08f64, 0.16, 0.24, 0.34, 0.48, 0.7].map(f64::ln);
        let mut starts: Vec<_> =
            steps.iter().flat_map(|a| steps.map(|b| [*a, b])).map(|x| (x, sum(&x))).collect();
        starts.sort_by(|a, b| a.1.total_cmp(&b.1));
        let (found, _) = starts[..3]
            .iter()
            .map(|(start, _)| simplex(*start, [0.1, 0.1], 300, sum))
            .min_by(|a, b| a.1.total_cmp(&b.1))
            .unwrap_or(starts[0]);
        let [alpha, beta] = found.map(f64::exp);
        let [e, a, b] = solve(alpha, beta).0.coefficients;
        Ok(JointLaw { e, a: a * n0.powf(alpha), b: b * d0.powf(beta), alpha, beta })
    }

    fn loss(&self, parameters: f64, tokens: f64, _: f64) -> f64 {
        self.e + self.a * parameters.powf(-self.alpha) + self.b * tokens.powf(-self.beta)
    }

    fn constants(&self) -> Vec<f64> {
        vec![self.e, self.a, self.b, self.alpha, self.beta]
    }
}
