//! A ladder on disk: what was designed, and what its finished rungs say.
//!
//! ```text
//! LADDER/ ladder.toml          the design, the data, every rung with its cost
//!         plans/<name>.toml    run.toml of a rung, before it is begun
//!         rungs/<name>/        a run
//!         laws.json            written by `ladder fit`
//! ```

use crate::reached::Reached;
use crate::{Failure, fleet};
use anyhow::{Context, anyhow};
use plan::ladder::Design;
use record::Run as RunFolder;
use scaling::Run;
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};
use train::{Branch, FurtherSet};

/// `ladder.toml`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ladder {
    /// Program and commit that designed it.
    pub version: String,
    /// What was asked for.
    pub design: Design,
    /// Settings of all rungs, beyond the design.
    pub settings: Vec<(String, String)>,
    /// The data folder.
    pub data: PathBuf,
    /// What it holds.
    pub data_hash: String,
    /// What is held out.
    pub eval_hash: String,
    /// What every rung is scored on at its end, beyond what is held out.
    #[serde(default)]
    pub sets: Vec<FurtherSet>,
    /// From the cheapest to the dearest.
    pub rungs: Vec<RungPlan>,
}

/// A rung before it runs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RungPlan {
    /// Its folder.
    pub name: String,
    /// N.
    pub parameters: u64,
    /// D.
    pub tokens: u64,
    /// C, from the graph.
    pub flops: f64,
    /// Steps.
    pub steps: u64,
    /// Seconds on one core of the machine that designed it.
    pub seconds: f64,
    /// Of its weights and its order of the data.
    pub seed: u64,
    /// The rung whose first steps are this one's, too.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub branch: Option<Branch>,
}

impl RungPlan {
    /// Share of its steps that it takes itself.
    fn own(&self) -> f64 {
        self.branch.as_ref().map_or(1.0, |branch| 1.0 - branch.step as f64 / self.steps as f64)
    }

    /// FLOP of the steps that it takes itself.
    pub fn own_flops(&self) -> f64 {
        self.own() * self.flops
    }

    /// Seconds of them.
    pub fn own_seconds(&self) -> f64 {
        self.own() * self.seconds
    }
}

/// A finished rung.
#[derive(Clone, Debug, Serialize)]
pub struct Finished {
    /// Its folder.
    pub name: String,
    /// Of its weights and order.
    pub seed: u64,
    /// Held-out bits a byte against N, D and C.
    pub run: Run,
    /// FLOP of the steps that it took itself.
    pub own_flops: f64,
    /// Held-out bits a word.
    pub bits_per_word: f64,
    /// Hash of its metrics.
    pub hash: String,
}

impl Ladder {
    /// Opens a ladder.
    pub fn open(path: &Path) -> Result<Ladder, Failure> {
        let file = path.join("ladder.toml");
        let text = match std::fs::read_to_string(&file) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return Err(anyhow!(
                    "{} is no ladder: it has no ladder.toml; `ladder run` makes one",
                    path.display()
                )
                .into());
            }
            text => text.with_context(|| format!("cannot read {}", file.display()))?,
        };
        Ok(toml::from_str(&text).map_err(|e| anyhow!("{}: {}", file.display(), e.to_string().trim_end()))?)
    }

    /// The rungs, each behind the one that it branches off; the cheapest chain first.
    pub fn chains(&self) -> Vec<Vec<&RungPlan>> {
        let mut chains: Vec<Vec<&RungPlan>> = Vec::new();
        for rung in &self.rungs {
            let trunk = rung.branch.as_ref().and_then(|branch| {
                chains.iter_mut().find(|chain| chain.last().is_some_and(|last| last.name == branch.run))
            });
            match trunk {
                Some(chain) => chain.push(rung),
                None => chains.push(vec![rung]),
            }
        }
        let cost = |chain: &Vec<&RungPlan>| chain.iter().map(|rung| rung.own_flops()).sum::<f64>();
        chains.sort_by(|a, b| cost(a).total_cmp(&cost(b)));
        chains
    }

    /// What the finished rungs reached, and the names of the others.
    pub fn finished(&self, path: &Path) -> Result<(Vec<Finished>, Vec<String>), Failure> {
        let (mut finished, mut others) = (Vec::new(), Vec::new());
        for rung in &self.rungs {
            let folder = fleet::run_folder(path, &rung.name);
            let done = RunFolder::open(&folder).ok().filter(RunFolder::done);
            let Some(run) = done else {
                others.push(rung.name.clone());
                continue;
            };
            let reached = Reached::of(&run)?;
            let Reached { tokens, flops, bits_per_byte: loss, .. } = reached;
            let run = Run { parameters: rung.parameters as f64, tokens, flops, loss };
            run.check().map_err(|error| anyhow!("{}: {error}", folder.display()))?;
            finished.push(Finished {
                name: rung.name.clone(),
                seed: rung.seed,
                run,
                own_flops: rung.own_flops(),
                bits_per_word: reached.bits_per_word,
                hash: reached.hash,
            });
        }
        Ok((finished, others))
    }
}
