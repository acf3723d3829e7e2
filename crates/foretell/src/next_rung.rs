//! Which further rung would narrow a prediction most: `ladder fit --next`.

use crate::Failure;
use crate::verb::predict;
use plan::Budget;
use scaling::next::{Worth, candidates, rank};
use scaling::{Family, Run, Target, support};
use serde::Serialize;
use std::fmt::Write;

/// Rungs that could be added, and what each would bring.
#[derive(Debug, Serialize)]
pub struct NextRungs {
    /// What is to be foretold.
    target: Target,
    /// Width of its 90 % interval now, relative to the foretold loss; before back-tests widen it.
    width: f64,
    /// What narrows it most a FLOP first.
    rungs: Vec<Worth>,
}

impl NextRungs {
    /// For a budget like that of `predict`.
    pub fn find(runs: &[Run], budget: &str) -> Result<NextRungs, Failure> {
        let budget: Budget = budget.parse().map_err(Failure::of_plan)?;
        let target = predict::target(&Family::new(runs)?, budget)?;
        support::check(runs, &target)?;
        let (width, rungs) = rank(runs, &target, &candidates(runs, &target))?;
        Ok(NextRungs { target, width, rungs })
    }

    /// For people.
    pub fn people(&self) -> String {
        let Target { parameters, tokens } = self.target;
        let mut text = format!(
            "  next      of N = {parameters:.2e}, D = {tokens:.2e} the 90 % interval is ±{:.2} % wide before back-tests; one more rung makes it:\n",
            50.0 * self.width
        );
        let _ = writeln!(text, "  {:>9} {:>9} {:>9} {:>8} {:>9}", "N", "D", "FLOP", "±", "narrower");
        for Worth { candidate, width, narrower } in &self.rungs {
            let _ = writeln!(
                text,
                "  {:>9.2e} {:>9.2e} {:>9.2e} {:>6.2} % {:>7.1} %",
                candidate.parameters,
                candidate.tokens,
                candidate.flops,
                50.0 * width,
                100.0 * narrower
            );
        }
        if self.rungs.iter().all(|worth| worth.narrower <= 0.0) {
            text += "            none is expected to narrow it\n";
        }
        text + "            first what narrows it most for its FLOP\n"
    }
}
