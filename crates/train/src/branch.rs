//! Branches of the decay: runs that differ in nothing but their length share their steps before the decay
//! (Hägele et al., arXiv:2405.18392), so the longer one begins where the shorter one began to decay. It then is, bit by
//! bit, the run that it would have been by itself.

use crate::{Error, Result, TrainConfig, checkpoint};
use data::Dataset;
use record::{Run, RunWriter};
use std::path::Path;

/// The step at which a run leaves a shorter one, by the texts of both `run.toml`; refused where they share none or
/// differ in more than their length.
pub fn branches_from(run: &str, shorter: &str) -> Result<u64> {
    let read = |text| TrainConfig::from_toml(text, Path::new("run.toml"));
    let (own, other) = (read(run)?, read(shorter)?);
    let refuse = |reason: String| Error::Branch { steps: own.steps, others: other.steps, reason };
    let differences = TrainConfig::differences(run, shorter)?;
    let length = ["steps", "schedule.decay_steps"];
    if let Some((name, a, b)) = differences.iter().find(|(name, ..)| !length.contains(&name.as_str())) {
        return Err(refuse(format!("{name} is {a} here and {b} there")));
    }
    match (own.stable_steps(), other.stable_steps()) {
        (Some(own), Some(other)) if other <= own => Ok(other),
        (Some(own), Some(other)) => {
            Err(refuse(format!("it decays after {own} steps, the other after {other}")))
        }
        _ => Err(refuse("schedule.kind must be wsd with decay_steps and steps before them".into())),
    }
}

/// Begins a run, of which nothing but `run.toml` is written, with the steps that it shares with a shorter one: that one's
/// records and its checkpoint before the decay.
pub fn branch(shorter: &Run, writer: &RunWriter, dataset: &Dataset) -> Result<()> {
    let (text, other) = (writer.run().config()?, shorter.config()?);
    let step = branches_from(&text, &other)?;
    let config = TrainConfig::from_toml(&text, &writer.run().path().join("run.toml"))?;
    let from = shorter.checkpoint(step)?;
    if checkpoint::made_with(&from)? != Some(TrainConfig::hash(&other)?) {
        return Err(Error::Edited { path: shorter.path().join("run.toml"), step });
    }
    // Before the checkpoint: a run that has it has these, too. Lines of later steps are cut off when the run goes on.
    for name in ["metrics.jsonl", "samples.jsonl"] {
        let (lines, _) = shorter.record(name)?;
        writer.files().replace(&writer.run().path().join(name), &lines)?;
    }
    checkpoint::adopt(&from, writer.checkpoint(step)?, &config, dataset, &TrainConfig::hash(&text)?)?;
    Ok(())
}
