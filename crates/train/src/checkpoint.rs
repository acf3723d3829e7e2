//! A run's state on disk: a Hugging Face folder with the optimiser and the loop's state beside it.

use crate::{Error, Replica, Result, TrainConfig};
use data::{Dataset, Seeing};
use model::weights::{self, Storage};
use record::{Checkpoint, CheckpointWriter};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::fmt::Write;

/// What the loop knows besides weights and moments.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct State {
    /// Steps taken.
    pub step: u64,
    /// Updates made: steps but for those passed over.
    pub updates: u64,
    /// Steps passed over in a row, up to now.
    pub skipped_in_a_row: u64,
    /// Tokens trained on.
    pub tokens: u64,
    /// Seconds of training.
    pub seconds: f64,
}

/// `state.json`: where the run stands, and the hash of the configuration that brought it there.
#[derive(Serialize, Deserialize)]
struct Saved {
    #[serde(flatten)]
    state: State,
    /// `None` in checkpoints of versions that did not write it.
    #[serde(default)]
    config: Option<String>,
}

const WEIGHTS: &str = "model.safetensors";
const OPTIMISER: &str = "optimizer.safetensors";
const STATE: &str = "state.json";

/// Writes everything that going on needs, and everything that others need to open the model.
pub(crate) fn save(
    mut writer: CheckpointWriter,
    config: &TrainConfig,
    dataset: &Dataset,
    replica: &mut Replica,
    state: &State,
    hash: &str,
) -> Result<Checkpoint> {
    writer.file(WEIGHTS, |out| weights::write(out, &[("", &replica.params)], Storage::F32))?;
    let (first, second) = replica.optimiser.moments();
    let moments = [("first.", first), ("second.", second)];
    writer.file(OPTIMISER, |out| weights::write(out, &moments, Storage::F32))?;
    finish(writer, config, dataset, state, hash)
}

/// Writes what a checkpoint has besides weights and moments.
fn finish(
    mut writer: CheckpointWriter,
    config: &TrainConfig,
    dataset: &Dataset,
    state: &State,
    hash: &str,
) -> Result<Checkpoint> {
    let saved = Saved { state: *state, config: Some(hash.into()) };
    writer.file(STATE, |out| Ok(serde_json::to_writer_pretty(out, &saved)?))?;
    for (name, bytes) in folder_files(config, dataset, state) {
        writer.file(&name, |out| out.write_all(&bytes))?;
    }
    Ok(writer.finish()?)
}

/// Writes another run's checkpoint as one of this run, which `hash` is of.
pub(crate) fn adopt(
    from: &Checkpoint,
    mut writer: CheckpointWriter,
    config: &TrainConfig,
    dataset: &Dataset,
    hash: &str,
) -> Result<Checkpoint> {
    for name in [WEIGHTS, OPTIMISER] {
        let (mut file, _) = from.open(name)?;
        writer.file(name, |out| std::io::copy(&mut file, out).map(drop))?;
    }
    finish(writer, config, dataset, &saved(from)?.state, hash)
}

/// The files of a Hugging Face folder besides the weights.
fn folder_files(config: &TrainConfig, dataset: &Dataset, state: &State) -> Vec<(String, Vec<u8>)> {
    let seeing = dataset.manifest().seeing.iter().filter(|_| config.model.eyes.is_some());
    let read = dataset.tokenizer().files().into_iter().chain(seeing.flat_map(Seeing::files));
    let ours = [
        ("config.json", config.model.to_json()),
        ("generation_config.json", config.model.generation_json()),
        ("README.md", card(config, state).into_bytes()),
    ];
    read.chain(ours).map(|(name, bytes)| (name.into(), bytes)).collect()
}

/// The model card.
fn card(config: &TrainConfig, state: &State) -> String {
    let mut text = String::from("# A model trained by foretell\n\n");
    let m = &config.model;
    let _ = writeln!(text, "| | |\n| --- | --- |");
    for (name, value) in [
        ("version", config.origin.version.clone()),
        ("parameters", m.parameters().to_string()),
        ("layers × width", format!("{} × {}", m.num_hidden_layers, m.hidden_size)),
        ("steps", format!("{} of {}", state.step, config.steps)),
        ("tokens", state.tokens.to_string()),
        ("data", config.data.hash.clone()),
        ("seed", config.seed.to_string()),
    ] {
        let _ = writeln!(text, "| {name} | {value} |");
    }
    text.push_str("\n`run.toml` of the run holds everything that made it.\n");
    text
}

/// Reads weights, moments and state of a checkpoint, and the hash of its configuration if it has one.
pub(crate) fn load(checkpoint: &Checkpoint, replica: &mut Replica) -> Result<(State, Option<String>)> {
    load_weights(checkpoint, replica)?;
    let (file, length) = checkpoint.open(OPTIMISER)?;
    let (first, second) = replica.optimiser.moments_mut();
    let names = |prefix: &str, store: &engine::Store| -> Vec<String> {
        store.layout().names().map(|name| format!("{prefix}{name}")).collect()
    };
    let expected: BTreeSet<String> =
        [names("first.", first), names("second.", second)].concat().into_iter().collect();
    let (read, unknown) = weights::read(
        OPTIMISER,
        std::io::BufReader::new(file),
        length,
        &mut [("first.", first), ("second.", second)],
    )?;
    if read != expected || !unknown.is_empty() {
        let reason = "it holds the moments of another optimiser or model".into();
        return Err(Error::Checkpoint { path: checkpoint.path.join(OPTIMISER), reason });
    }
    let Saved { state, config } = saved(checkpoint)?;
    Ok((state, config))
}

/// `state.json` of a checkpoint.
fn saved(checkpoint: &Checkpoint) -> Result<Saved> {
    let wrong = |reason: String| Error::Checkpoint { path: checkpoint.path.join(STATE), reason };
    let (file, _) = checkpoint.open(STATE)?;
    let saved: Saved = serde_json::from_reader(file).map_err(|e| wrong(e.to_string()))?;
    match saved.state.step == checkpoint.step {
        true => Ok(saved),
        false => Err(wrong(format!("it is of step {}", saved.state.step))),
    }
}

/// Hash of what decided the run that a checkpoint is of ([`TrainConfig::hash`]); checkpoints of older versions may
/// have none.
pub fn made_with(checkpoint: &Checkpoint) -> Result<Option<String>> {
    Ok(saved(checkpoint)?.config)
}

/// Reads the weights of a checkpoint.
fn load_weights(checkpoint: &Checkpoint, replica: &mut Replica) -> Result<()> {
    weights::load(&mut replica.params, &mut |name| match checkpoint.path.join(name).exists() {
        false => Ok(None),
        true => {
            let (file, length) = checkpoint.open(name).map_err(std::io::Error::other)?;
            Ok(Some((Box::new(std::io::BufReader::new(file)), length)))
        }
    })?;
    Ok(())
}
