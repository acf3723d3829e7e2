//! Everything that decides a run, resolved: `run.toml`.

use crate::{Error, Result, Schedule, ScheduleKind};
use data::{Dataset, Look};
use engine::update::{Kind, Settings};
use model::Config as ModelConfig;
use model::parametrisation::{self, Choice, Parametrisation, Rates};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// A run's configuration. What stands outside of `machine` and `origin` decides the weights.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrainConfig {
    /// Of the initial weights and the order of the data.
    pub seed: u64,
    /// Steps.
    pub steps: u64,
    /// Rows a step, each as long as the model's context.
    pub rows: usize,
    /// Rows of a micro-batch; their gradients are summed in a fixed tree.
    pub micro_rows: usize,
    /// Coefficient of `ln²Z`, which keeps logits small.
    #[serde(default)]
    pub z_loss: f32,
    /// Whether activations are computed again in the backward pass instead of kept.
    #[serde(default)]
    pub recompute: bool,
    /// Tiles of pictures that a row has room for; 0 for a model without eyes.
    #[serde(default, skip_serializing_if = "no_tiles")]
    pub tiles: usize,
    /// What is done when a loss or gradient is no number.
    #[serde(default)]
    pub non_finite: NonFinite,
    /// Learning rate.
    pub schedule: Schedule,
    /// Optimisers.
    #[serde(default)]
    pub optimiser: OptimiserConfig,
    /// Held-out loss.
    pub evaluation: Evaluation,
    /// When to save.
    pub checkpoints: Checkpoints,
    /// Texts drawn on the way.
    #[serde(default)]
    pub samples: Samples,
    /// What is trained on.
    pub data: DataConfig,
    /// What runs it; changes nothing of the result.
    #[serde(default)]
    pub machine: Machine,
    /// Where the run comes from.
    #[serde(default)]
    pub origin: Origin,
    /// The architecture.
    pub model: ModelConfig,
}

/// Most that the rate of a part may be of the others'.
const MOST_TIMES: f32 = 100.0;

fn no_tiles(tiles: &usize) -> bool {
    *tiles == 0
}

/// What is done when a loss or gradient is no number. Either way the step's update is not made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum NonFinite {
    /// The run ends with an error; its last checkpoint stays.
    #[default]
    Stop,
    /// The step is counted and passed over; after ten in a row the run ends.
    Skip,
}

/// Optimisers and their settings.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct OptimiserConfig {
    /// What of the initial values and the optimisers follows the model's size.
    pub parametrisation: Parametrisation,
    /// Of the matrices inside layers: `adamw` or `muon`; all else is AdamW's.
    pub matrices: String,
    /// Decay of AdamW's first moment.
    pub beta1: f32,
    /// Decay of AdamW's second moment. With few tokens a step it must forget slowly (Marek et al., arXiv:2507.07101):
    /// at 128 to 256, losses are 0.3 to 0.8 % lower with 0.99 than with 0.95.
    pub beta2: f32,
    /// AdamW's epsilon.
    pub epsilon: f32,
    /// Muon's momentum.
    pub momentum: f32,
    /// Decoupled weight decay of matrices.
    pub decay: f32,
    /// Whether embeddings and norms decay too.
    pub decay_all: bool,
    /// Longest gradient; longer ones are scaled to it. 0: no bound.
    pub clip: f32,
    /// Deviation of all initial matrices; 0: those of the parametrisation.
    pub deviation: f32,
    /// Factors on the rates of parts; 0: frozen.
    #[serde(skip_serializing_if = "Rates::plain")]
    pub rates: Rates,
}

impl Default for OptimiserConfig {
    fn default() -> OptimiserConfig {
        OptimiserConfig {
            parametrisation: Parametrisation::Transfer,
            matrices: "adamw".into(),
            beta1: 0.9,
            beta2: 0.99,
            epsilon: 1e-8,
            momentum: 0.95,
            decay: 0.1,
            decay_all: false,
            clip: 1.0,
            deviation: 0.0,
            rates: Rates::default(),
        }
    }
}

impl OptimiserConfig {
    /// What the parameter table depends on.
    pub fn choice(&self) -> Choice {
        let hidden = if self.matrices == "muon" { Kind::Muon } else { Kind::AdamW };
        let deviation = (self.deviation > 0.0).then_some(f64::from(self.deviation));
        let OptimiserConfig { parametrisation, decay, decay_all, epsilon, rates, .. } = *self;
        Choice { parametrisation, hidden, decay, decay_all, epsilon, deviation, rates }
    }

    /// What all parameters share.
    pub fn settings(&self) -> Settings {
        Settings { beta1: self.beta1, beta2: self.beta2, momentum: self.momentum }
    }
}

/// The frozen held-out set.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Evaluation {
    /// Tokens at most, in pieces of documents.
    pub tokens: u64,
    /// Steps between evaluations; the end is always evaluated. 0: only the end.
    pub every: u64,
    /// Further sets, which the end alone is scored on.
    #[serde(default)]
    pub sets: Vec<FurtherSet>,
}

/// A set of another kind than what is trained on and held out of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FurtherSet {
    /// By which the records name it: `set/<name>/bits_per_byte`.
    pub name: String,
    /// A file, a folder or a glob.
    pub path: String,
    /// What is scored.
    pub kind: SetKind,
    /// Tokens at most.
    pub tokens: u64,
    /// Hash of the files.
    pub hash: String,
}

/// What a further set holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SetKind {
    /// Text, of which the loss is scored.
    Text,
    /// Questions with choices, of which the right answers are.
    Questions,
    /// Questions about pictures: the same, by family and level.
    Pictured,
}

impl FurtherSet {
    /// Refuses a name that no record could hold.
    pub fn check(&self) -> Result<()> {
        let plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
        if self.name.is_empty() || !self.name.chars().all(plain) {
            let reason = "it is made of letters, digits, '-' and '_'";
            return Err(Error::setting("evaluation.sets.name", &self.name, reason));
        }
        match self.tokens {
            0 => Err(Error::setting("evaluation.sets.tokens", 0, "at least one must be scored")),
            _ => Ok(()),
        }
    }
}

/// Checkpoints of a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Checkpoints {
    /// Steps between them; the end is always saved. 0: only the end.
    pub every: u64,
    /// How many of the last are kept.
    pub keep: usize,
    /// Whether that before the decay is saved too, and stays: a longer run can begin there.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub branch: bool,
}

/// Texts drawn at every evaluation.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Samples {
    /// What is continued.
    pub prompts: Vec<String>,
    /// Tokens drawn for each.
    pub tokens: usize,
}

impl Samples {
    /// Whether no text is drawn.
    pub fn none(&self) -> bool {
        self.prompts.is_empty() || self.tokens == 0
    }
}

/// The data folder and what it must hold.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DataConfig {
    /// The folder.
    pub path: PathBuf,
    /// Hash of everything that is trained on.
    pub hash: String,
    /// Hash of what is held out.
    pub eval_hash: String,
}

/// What runs it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Machine {
    /// Threads of all ranks together; 0: one a core.
    pub threads: usize,
    /// Ranks in this process: a power of two that divides the number of micro-batches. 0 is 1.
    pub ranks: usize,
    /// Instruction set; empty: the best there is.
    pub isa: String,
    /// Whether TensorBoard's event files are written.
    pub tensorboard: bool,
}

/// Where a run comes from.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Origin {
    /// Version and commit of the program.
    pub version: String,
    /// The budget that was resolved.
    pub budget: String,
    /// Weights that it began with; empty: random ones.
    pub init_from: String,
    /// When it began, in seconds since 1970, UTC; 0: not recorded.
    pub started: u64,
    /// The run whose steps before its decay are this one's first, too.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub branch: Option<Branch>,
    /// The registered prediction that it is the run of.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prediction: Option<Foretold>,
}

/// Where a run left another.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Branch {
    /// The other's folder, beside this run's.
    pub run: String,
    /// Steps that were taken over.
    pub step: u64,
}

/// An entry of a registry of predictions. Its hash could not be known before it was registered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Foretold {
    /// Its number.
    pub id: u64,
    /// Its hash.
    pub hash: String,
}

/// What decides the run in a text of `run.toml`.
fn deciding(text: &str) -> Result<toml::Table> {
    let mut table: toml::Table = text
        .parse()
        .map_err(|e: toml::de::Error| Error::Config { path: "run.toml".into(), reason: e.to_string() })?;
    table.remove("machine");
    table.remove("origin");
    if let Some(data) = table.get_mut("data").and_then(toml::Value::as_table_mut) {
        data.remove("path");
    }
    let sets = table.get_mut("evaluation").and_then(|evaluation| evaluation.get_mut("sets"));
    for set in sets.and_then(toml::Value::as_array_mut).into_iter().flatten() {
        set.as_table_mut().map(|set| set.remove("path"));
    }
    Ok(table)
}

/// A table as dotted names and values.
fn flatten(prefix: &str, value: toml::Value, into: &mut BTreeMap<String, String>) {
    match value {
        toml::Value::Table(table) => table.into_iter().for_each(|(name, value)| {
            let name = if prefix.is_empty() { name } else { format!("{prefix}.{name}") };
            flatten(&name, value, into);
        }),
        other => drop(into.insert(prefix.into(), other.to_string())),
    }
}

impl TrainConfig {
    /// Reads `run.toml`; `path` is for the messages.
    pub fn from_toml(text: &str, path: &Path) -> Result<TrainConfig> {
        let config: TrainConfig = toml::from_str(text)
            .map_err(|e| Error::Config { path: path.into(), reason: e.to_string().trim_end().into() })?;
        config.check()?;
        Ok(config)
    }

    /// The text of `run.toml`.
    pub fn to_toml(&self) -> Result<String> {
        toml::to_string(self).map_err(|e| Error::Config { path: "run.toml".into(), reason: e.to_string() })
    }

    /// Hash of what decides the run in a text of `run.toml`: everything but the machine, the origin and where the
    /// data and the further sets lie. Of the text rather than the fields, so that it stays when a later version adds one.
    pub fn hash(text: &str) -> Result<String> {
        Ok(blake3::hash(deciding(text)?.to_string().as_bytes()).to_string())
    }

    /// Names of fields, with both values, in which two texts of `run.toml` ask for different results: not of the
    /// machine, the origin, where the data lies, when is saved, evaluated and sampled on the way.
    pub fn differences(a: &str, b: &str) -> Result<Vec<(String, String, String)>> {
        let fields = |text: &str| -> Result<BTreeMap<String, String>> {
            let mut found = BTreeMap::new();
            flatten("", toml::Value::Table(deciding(text)?), &mut found);
            found.retain(|name, _| {
                let part = name.split('.').next().unwrap_or_default();
                !["checkpoints", "samples"].contains(&part) && name != "evaluation.every"
            });
            Ok(found)
        };
        let (a, b) = (fields(a)?, fields(b)?);
        let names: BTreeSet<&String> = a.keys().chain(b.keys()).collect();
        let value = |of: &BTreeMap<String, String>, name: &String| {
            of.get(name).cloned().unwrap_or_else(|| "nothing".into())
        };
        let differ = names.into_iter().filter(|name| a.get(*name) != b.get(*name));
        Ok(differ.map(|name| (name.clone(), value(&a, name), value(&b, name))).collect())
    }

    /// Steps before the decay, if there are some: where a longer run can begin.
    pub fn stable_steps(&self) -> Option<u64> {
        let decay = self.schedule.decay_steps;
        let stable = self.steps.saturating_sub(decay);
        (self.schedule.kind == ScheduleKind::Wsd && decay > 0 && stable > 0).then_some(stable)
    }

    /// The step whose checkpoint stays, if one does.
    pub(crate) fn branching_step(&self) -> Option<u64> {
        self.stable_steps().filter(|_| self.checkpoints.branch)
    }

    /// Micro-batches of a step.
    pub fn micro_batches(&self) -> usize {
        self.rows / self.micro_rows.max(1)
    }

    /// Ranks, at least one.
    pub fn ranks(&self) -> usize {
        self.machine.ranks.max(1)
    }

    /// Tokens a row.
    pub fn seq(&self) -> usize {
        self.model.max_position_embeddings
    }

    /// Tokens of a step.
    pub fn step_tokens(&self) -> u64 {
        (self.rows * self.seq()) as u64
    }

    /// Parameters that are trained: all but those of frozen parts.
    pub fn trained_parameters(&self) -> usize {
        let table = parametrisation::table(&self.model, &self.optimiser.choice());
        table.iter().filter(|one| one.trained()).map(|one| one.shape.iter().product::<usize>()).sum()
    }

    /// How the model sees the pictures of a data folder, if it has eyes.
    pub fn look(&self, dataset: &Dataset) -> Result<Option<Look>> {
        let Some(eyes) = &self.model.eyes else { return Ok(None) };
        let other = |reason: &str| Error::setting("model.eyes", &eyes.layout, reason);
        let Some(mut look) = dataset.look().cloned() else { return Err(other("the data has no pictures")) };
        let seeing = &look.seeing;
        let sizes = [seeing.preparation.tile, seeing.patch, seeing.scale_factor, look.image as u32];
        let own =
            [eyes.vision.image_size, eyes.vision.patch_size, eyes.scale_factor, eyes.image_token_id as usize];
        if sizes.map(|size| size as usize) != own {
            return Err(other("the data's pictures have other tiles, patches or tokens than the model"));
        }
        (look.order, look.tiles) = (eyes.order(), self.tiles);
        Ok(Some(look))
    }

    /// Refuses what cannot be run.
    pub fn check(&self) -> Result<()> {
        self.model.check()?;
        self.schedule.check(self.steps)?;
        let refuse = |name: &str, value: String, reason: &str| Err(Error::setting(name, value, reason));
        if self.steps == 0 || self.steps > 1 << 40 {
            return refuse("steps", self.steps.to_string(), "it must lie between 1 and 1099511627776");
        }
        for (name, value) in [("rows", self.rows), ("micro_rows", self.micro_rows)] {
            if value == 0 || value > 1 << 20 {
                return refuse(name, value.to_string(), "it must lie between 1 and 1048576");
            }
        }
        if !self.rows.is_multiple_of(self.micro_rows) {
            return refuse(
                "micro_rows",
                self.micro_rows.to_string(),
                &format!("it must divide rows = {}", self.rows),
            );
        }
        if let Some(eyes) = self.model.eyes.as_ref().filter(|eyes| eyes.is_llava()) {
            return refuse(
                "model.eyes.layout",
                eyes.layout.clone(),
                "it is read and written, but not trained",
            );
        }
        if (self.tiles > 0) != self.model.eyes.is_some() || self.tiles > 1 << 16 {
            let reason = "a model with eyes has room for 1 to 65536 tiles in a row, another for none";
            return refuse("tiles", self.tiles.to_string(), reason);
        }
        let ranks = self.ranks();
        if !ranks.is_power_of_two() || !self.micro_batches().is_multiple_of(ranks) {
            let reason =
                format!("it must be a power of two that divides the {} micro-batches", self.micro_batches());
            return refuse("machine.ranks", ranks.to_string(), &reason);
        }
        let o = &self.optimiser;
        if !["adamw", "muon"].contains(&o.matrices.as_str()) {
            return refuse("optimiser.matrices", o.matrices.clone(), "it is adamw or muon");
        }
        for (name, value, most) in [
            ("z_loss", self.z_loss, 1.0),
            ("optimiser.beta1", o.beta1, 0.999_999),
            ("optimiser.beta2", o.beta2, 0.999_999),
            ("optimiser.momentum", o.momentum, 0.999_999),
            ("optimiser.epsilon", o.epsilon, 1.0),
            ("optimiser.decay", o.decay, 10.0),
            ("optimiser.clip", o.clip, f32::MAX),
            ("optimiser.deviation", o.deviation, 10.0),
        ] {
            if !(value >= 0.0 && value <= most) {
                return refuse(name, value.to_string(), &format!("it must lie between 0 and {most}"));
            }
        }
        for (part, rate, there) in o.rates.parts(&self.model) {
            let name = format!("optimiser.rates.{part}");
            if !(0.0..=MOST_TIMES).contains(&rate) {
                let reason = format!("it must lie between 0 (frozen) and {MOST_TIMES}");
                return refuse(&name, rate.to_string(), &reason);
            }
            if !there && rate != 1.0 {
                return refuse(&name, rate.to_string(), &format!("the model has no {part}"));
            }
        }
        if o.rates.parts(&self.model).iter().all(|(_, rate, there)| !there || *rate == 0.0) {
            return refuse("optimiser.rates.decoder", "0".into(), "every part is frozen: nothing is trained");
        }
        let sets = &self.evaluation.sets;
        sets.iter().try_for_each(FurtherSet::check)?;
        if let Some(set) = sets.iter().find(|set| set.kind == SetKind::Pictured).filter(|_| self.tiles == 0) {
            return refuse(
                "evaluation.sets.kind",
                set.name.clone(),
                "it shows pictures, and the model has no eyes",
            );
        }
        if let Some(twice) = (1..sets.len()).find(|&i| sets[..i].iter().any(|set| set.name == sets[i].name)) {
            return refuse("evaluation.sets.name", sets[twice].name.clone(), "two sets have it");
        }
        match self.checkpoints.keep {
            0 => refuse("checkpoints.keep", "0".into(), "at least one must be kept"),
            _ => Ok(()),
        }
    }
}
