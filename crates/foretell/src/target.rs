//! From a budget to the run above a ladder: its shape from the ladder's family, its tokens from the law, its
//! time and memory from the graph and this machine.

use crate::arguments::Common;
use crate::ladder::Ladder;
use crate::settings::Settings;
use crate::verb::ladder::plan_rung;
use crate::{Failure, machine};
use anyhow::anyhow;
use data::Dataset;
use plan::ladder::Rung;
use plan::{Budget, Corpus, Plan};
use scaling::{Family, Target, support};
use std::path::Path;

/// What is asked for besides the budget.
pub struct Asked<'a> {
    /// The ladder.
    pub ladder: &'a Ladder,
    /// What its finished rungs say.
    pub family: &'a Family,
    /// Where its data is now, if it was moved.
    pub data: Option<&'a Path>,
    /// Of the run.
    pub seed: u64,
    /// The machine that it is for, by its description; `None`: this one.
    pub machine: Option<&'a str>,
}

/// How far from a time the foretold one may be.
const NEAR: f64 = 0.03;

/// How often a time is aimed at: every plan times some steps.
const AIMS: usize = 4;

impl Asked<'_> {
    /// Plans the run that the budget buys.
    pub fn plan(&self, budget: Budget, common: &Common) -> Result<Plan, Failure> {
        let dataset = self.dataset()?;
        let corpus = Corpus::of(&dataset)?;
        let vocab = corpus.vocab;
        // Refused before the machine is measured.
        let rung = match budget {
            Budget::Seconds(_) => None,
            Budget::Flops(flops) => Some(self.spending(vocab, flops)?),
            Budget::Size { parameters, tokens } => Some(self.sized(vocab, parameters, tokens)?),
        };
        if let Some(rung) = &rung {
            let target = Target { parameters: rung.shape.parameters() as f64, tokens: rung.tokens };
            support::check(self.family.runs(), &target)?;
        }
        let site = match self.machine {
            Some(name) => machine::described(name)?,
            None => machine::measured(common)?,
        };
        let settings = Settings { entries: self.ladder.settings.clone(), typed: Vec::new() };
        let made = |rung: &Rung| plan_rung(rung, &corpus, &settings, &self.ladder.sets, &site);
        let mut plan = match (rung, budget) {
            (Some(rung), _) => made(&rung)?,
            (None, Budget::Seconds(seconds)) => {
                // Small models train at a third of the peak or so; what they really do is measured then.
                let mut flops = site.peak_flops() * seconds / 3.0;
                let mut aims = 1;
                loop {
                    let plan = made(&self.spending(vocab, rounded(flops))?)?;
                    let ratio = seconds / plan.seconds.total;
                    if (ratio - 1.0).abs() < NEAR || aims == AIMS {
                        break plan;
                    }
                    flops *= ratio;
                    aims += 1;
                }
            }
            (None, _) => return Err(Failure::Usage(format!("--budget {budget}: it buys no run"))),
        };
        plan.budget = budget;
        plan.config.origin.budget = budget.to_string();
        plan.config.origin.version = machine::version();
        plan.config.machine.threads = site.threads();
        plan.config.machine.isa = common.isa.clone().unwrap_or_default();
        plan.config.data.path = dataset.folder().into();
        Ok(plan)
    }

    /// The ladder's data, where it is now.
    fn dataset(&self) -> Result<Dataset, Failure> {
        let path = self.data.unwrap_or(&self.ladder.data);
        if !path.exists() {
            let text = "the data of the ladder is not there; give its folder with --data";
            return Err(anyhow!("{}: {text}", path.display()).into());
        }
        let dataset = Dataset::open(path)?;
        let manifest = dataset.manifest();
        let same =
            manifest.data_hash() == self.ladder.data_hash && manifest.eval_hash() == self.ladder.eval_hash;
        match same {
            true => Ok(dataset),
            false => Err(anyhow!(
                "{}: it is not the data that the ladder was run on; give that with --data",
                path.display()
            )
            .into()),
        }
    }

    /// Of FLOP: the tokens a parameter that the law says are best.
    fn spending(&self, vocab: usize, flops: f64) -> Result<Rung, Failure> {
        let ratio = self.family.best(flops)?.ratio();
        self.ladder.design.spending(vocab, flops, ratio, self.seed).map_err(Failure::of_plan)
    }

    /// Of a size; what is missing is what the law says is best beside the other.
    fn sized(&self, vocab: usize, parameters: Option<f64>, tokens: Option<f64>) -> Result<Rung, Failure> {
        let (n, d) = match (parameters, tokens) {
            (Some(n), Some(d)) => (n, d),
            (Some(n), None) => (n, n * self.ratio(|ratio| n * n * ratio)?),
            (None, Some(d)) => (d / self.ratio(|ratio| d * d / ratio)?, d),
            (None, None) => return Err(Failure::Usage("--budget: N or D is missing".into())),
        };
        self.ladder.design.sized(vocab, n, d, self.seed).map_err(Failure::of_plan)
    }

    /// The best tokens a parameter where they decide N·D themselves: it depends little on the compute, so
    /// that a few rounds settle it.
    fn ratio(&self, size: impl Fn(f64) -> f64) -> Result<f64, Failure> {
        let each = support::flops(self.family.runs(), &Target { parameters: 1.0, tokens: 1.0 });
        let mut ratio = plan::rules::TOKENS_PER_PARAMETER;
        for _ in 0..6 {
            ratio = self.family.best(each * size(ratio))?.ratio();
        }
        Ok(ratio)
    }
}

/// Three digits, so that small differences between measurements do not change the run.
fn rounded(flops: f64) -> f64 {
    format!("{flops:.2e}").parse().unwrap_or(flops)
}
