//! A registered prediction of a run of this program: `predict` writes it down, `train` runs it, `verify` holds
//! its outcome against it.

use crate::Failure;
use anyhow::{Context, anyhow};
use plan::{Plan, Seconds, Shape};
use record::{Entry, Registry};
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};
use train::{Foretold, Memory, TrainConfig};

/// The run that is foretold, as its entry has it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TargetRun {
    /// The model.
    pub shape: Shape,
    /// Steps.
    pub steps: u64,
    /// D: tokens trained on.
    pub tokens: u64,
    /// C, from the graph.
    pub flops: f64,
    /// Passes over the data.
    pub epochs: Option<f64>,
    /// Of its weights and its order of the data.
    pub seed: u64,
    /// Where the time goes.
    pub seconds: Seconds,
    /// What is held while it runs.
    pub memory: Memory,
    /// Their sum.
    pub memory_bytes: u64,
    /// Bytes of the checkpoints that are kept.
    pub disk_bytes: u64,
    /// The described machine that time and memory are of; `None`: the one that registered it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub machine: Option<String>,
    /// Its threads, cores or devices.
    pub threads: usize,
    /// Instruction set of the machine that registered it.
    pub isa: String,
    /// Hash of what decides the run in `config`.
    pub config_hash: String,
    /// `run.toml`.
    pub config: String,
}

impl TargetRun {
    /// Of a plan.
    pub fn of(plan: &Plan, isa: &str) -> Result<TargetRun, Failure> {
        let config = plan.config.to_toml()?;
        Ok(TargetRun {
            shape: plan.shape,
            steps: plan.config.steps,
            tokens: plan.tokens,
            flops: plan.flops,
            epochs: plan.epochs,
            seed: plan.config.seed,
            seconds: plan.seconds,
            memory: plan.memory,
            memory_bytes: plan.memory_bytes as u64,
            disk_bytes: (plan.checkpoint_bytes * plan.config.checkpoints.keep) as u64,
            machine: plan.machine.clone(),
            threads: plan.config.machine.threads,
            isa: isa.into(),
            config_hash: TrainConfig::hash(&config)?,
            config,
        })
    }
}

/// An entry that foretells a run of this program.
#[derive(Clone, Debug)]
pub struct Prediction {
    /// The entry.
    pub entry: Entry,
    /// The run.
    pub run: TargetRun,
}

/// The prediction of a number among the entries of a registry.
pub fn entry<'a>(entries: &'a [Entry], id: u64, registry: &Path) -> Result<&'a Entry, Failure> {
    let found = entries.iter().find(|entry| entry.id == id && entry.kind == "prediction");
    let place = registry.display();
    Ok(found.ok_or_else(|| anyhow!("{place}: entry {id} is no prediction; `verify` lists what there is"))?)
}

impl Prediction {
    /// Of an entry; `None` of one that foretells other people's runs.
    pub fn of(entry: &Entry) -> Result<Option<Prediction>, Failure> {
        let Some(run) = entry.body.get("run") else { return Ok(None) };
        let run: TargetRun = serde_json::from_value(run.clone())
            .with_context(|| format!("entry {} has a run that this version does not know", entry.id))?;
        Ok(Some(Prediction { entry: entry.clone(), run }))
    }

    /// Finds the prediction of a run, after the chain was followed.
    pub fn find(registry: &Path, id: u64) -> Result<Prediction, Failure> {
        let entries = Registry::at(registry).entries()?;
        let found = Prediction::of(entry(&entries, id, registry)?)?;
        Ok(found.ok_or_else(|| {
            anyhow!("prediction {id} is of other people's runs: it has no configuration to train")
        })?)
    }

    /// The folder of its run, unless another is given.
    pub fn folder(id: u64) -> PathBuf {
        Path::new("runs").join(format!("prediction-{id}"))
    }

    /// Its configuration as this program reads it, or why that would be another run.
    pub fn config(&self) -> Result<TrainConfig, Failure> {
        let (id, text) = (self.entry.id, &self.run.config);
        let place = PathBuf::from(format!("prediction {id}"));
        let config = TrainConfig::from_toml(text, &place)?;
        let now = config.to_toml()?;
        if TrainConfig::hash(&now)? != self.run.config_hash {
            let differ = TrainConfig::differences(text, &now)?;
            let names: Vec<String> =
                differ.iter().map(|(name, then, now)| format!("{name} = {now}, not {then}")).collect();
            let version = self.entry.body.get("version").and_then(|version| version.as_str());
            return Err(anyhow!(
                "prediction {id}: this version would run something else ({}); use the one that registered it, {}",
                names.join("; "),
                version.unwrap_or("which it does not name")
            )
            .into());
        }
        Ok(config)
    }

    /// What the run's `run.toml` says of it.
    pub fn origin(&self) -> Foretold {
        Foretold { id: self.entry.id, hash: self.entry.hash.clone() }
    }

    /// The version that registered it.
    pub fn version(&self) -> &str {
        self.entry.body.get("version").and_then(|version| version.as_str()).unwrap_or_default()
    }
}
