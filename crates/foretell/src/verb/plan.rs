//! `plan`: what a run would be and cost, without running it.

use crate::arguments::Common;
use crate::checkpoint::Model;
use crate::settings::Settings;
use crate::{Failure, initial, machine, memory, output};
use data::Dataset;
use engine::CpuDevice;
use plan::{Adjust, Budget, Corpus, Plan, Request, Site};
use std::path::PathBuf;
use train::TrainConfig;

/// Options of `plan`.
#[derive(clap::Args, Debug)]
#[command(after_help = "Examples:
  foretell plan --data data/real --budget 20m
  foretell plan --data data/real --budget 2h --machine server.toml
  foretell plan --vocab 4096 --budget N=1e7 --set tokens_per_parameter=40 --json")]
pub struct Options {
    /// A folder made by `data build`
    #[arg(long, value_name = "DATA", value_parser = crate::arguments::path(), required_unless_present = "vocab")]
    pub data: Option<PathBuf>,
    /// Vocabulary, to plan without data
    #[arg(long, value_name = "TOKENS", conflicts_with = "data")]
    pub vocab: Option<usize>,
    /// How much: a time (20m), FLOP (1e14), or a size (N=1e6,D=2e7)
    #[arg(long, value_name = "BUDGET")]
    pub budget: String,
    /// For another machine, by its description: a TOML file, or NAME for machines/NAME.toml [default: this one]
    #[arg(long, value_name = "FILE|NAME")]
    pub machine: Option<String>,
}

/// Prints the plan.
pub fn run(options: &Options, common: &Common, settings: &Settings) -> Result<(), Failure> {
    let corpus = match (&options.data, options.vocab) {
        (Some(path), _) => Corpus::of(&Dataset::open(path)?)?,
        (None, Some(vocab)) => Corpus::of_vocabulary(vocab),
        (None, None) => return Err(Failure::Usage("--data or --vocab is needed".into())),
    };
    let site = || match &options.machine {
        Some(name) => machine::described(name),
        None => machine::measured(common),
    };
    let plan = make_at(&corpus, &options.budget, settings, &site, None)?;
    Ok(output::either(common, &plan, || format!("A run of {}:\n{plan}", plan.budget))?)
}

/// Settings that are fields of the configuration, applied to what the rules make.
#[derive(Debug)]
struct Fields {
    fields: Vec<(String, String)>,
    init: Option<(model::Config, String)>,
}

impl Adjust for Fields {
    fn adjust(&self, mut config: TrainConfig) -> plan::Result<TrainConfig> {
        if let Some((model, path)) = &self.init {
            config.model = initial::architecture(model, &config.model);
            config.origin.init_from.clone_from(path);
        }
        set_fields(&config, &self.fields)
    }
}

/// Overwrites fields by their dotted names; an error is the field, its value, and what is wrong.
pub fn set_fields(config: &TrainConfig, fields: &[(String, String)]) -> plan::Result<TrainConfig> {
    let mut changed = config.clone();
    for (name, value) in fields {
        let refuse =
            |reason: String| plan::Error::Setting { name: name.clone(), value: value.clone(), reason };
        let mut whole = toml::Value::try_from(&changed).map_err(|e| refuse(e.to_string()))?;
        // run.toml has them only where there are some.
        let optimiser = whole.get_mut("optimiser").filter(|_| name.starts_with("optimiser.rates."));
        if let Some(optimiser) = optimiser.and_then(toml::Value::as_table_mut) {
            let rates = toml::Value::try_from(changed.optimiser.rates).map_err(|e| refuse(e.to_string()))?;
            optimiser.entry("rates").or_insert(rates);
        }
        let mut place = Some(&mut whole);
        for part in name.split('.') {
            place = place.and_then(|value| value.as_table_mut()).and_then(|table| table.get_mut(part));
        }
        let place =
            place.ok_or_else(|| refuse("there is no such setting; run.toml shows what there is".into()))?;
        *place = match &place {
            toml::Value::String(_) => toml::Value::String(value.clone()),
            toml::Value::Float(_) => {
                value.parse().map(toml::Value::Float).map_err(|_| refuse("it is no number".into()))?
            }
            _ => format!("x = {value}")
                .parse::<toml::Table>()
                .ok()
                .and_then(|mut table| table.remove("x"))
                .ok_or_else(|| refuse("it is no value that TOML knows".into()))?,
        };
        changed = whole.try_into().map_err(|e: toml::de::Error| refuse(e.message().trim().to_string()))?;
    }
    Ok(changed)
}

/// Sets what a plan fixes; the rest are fields of the configuration.
pub fn apply(settings: &Settings, fixed: &mut plan::Settings) -> Result<Vec<(String, String)>, Failure> {
    let mut fields = Vec::new();
    for (name, value) in &settings.entries {
        if !fixed.set(name, value).map_err(Failure::of_plan)? {
            fields.push((name.clone(), value.clone()));
        }
    }
    Ok(fields)
}

/// What is trained on, with the eyes that the settings fix, and what else they fix.
pub fn corpus(dataset: &Dataset, settings: &Settings) -> Result<(Corpus, plan::Settings), Failure> {
    let mut corpus = Corpus::of(dataset)?;
    let mut fixed = plan::Settings::default();
    apply(settings, &mut fixed)?;
    corpus.sight = fixed.see(corpus.sight).map_err(Failure::of_plan)?;
    Ok((corpus, fixed))
}

/// Refuses what can be refused before the machine is measured, which takes seconds.
pub fn check(budget: &str, settings: &Settings, corpus: &Corpus) -> Result<Budget, Failure> {
    let budget = budget.parse().map_err(Failure::of_plan)?;
    let mut fixed = plan::Settings::default();
    apply(settings, &mut fixed)?;
    fixed.check().map_err(Failure::of_plan)?;
    fixed.candidates(corpus.vocab, corpus.sight).map_err(Failure::of_plan)?;
    Ok(budget)
}

/// Resolves a budget under the settings, for this machine.
pub fn make(
    corpus: &Corpus,
    budget: &str,
    settings: &Settings,
    device: &CpuDevice,
    init: Option<&Model>,
) -> Result<Plan, Failure> {
    make_at(corpus, budget, settings, &|| Ok(Site::measure(device)?), init)
}

/// Resolves a budget under the settings; the site is asked for once nothing else can be refused.
fn make_at(
    corpus: &Corpus,
    budget: &str,
    settings: &Settings,
    site: &dyn Fn() -> Result<Site, Failure>,
    init: Option<&Model>,
) -> Result<Plan, Failure> {
    let budget = check(budget, settings, corpus)?;
    let mut fixed = plan::Settings::default();
    if let Some(Model { config, .. }) = init {
        fixed = initial::fixed(config, corpus)?;
    }
    let own = fixed.clone();
    let fields = apply(settings, &mut fixed)?;
    if let Some(Model { config, .. }) = init {
        initial::settle(config, &own, &fixed)?;
    }
    let init = init.map(|model| (model.config.clone(), model.path.display().to_string()));
    let adjust = Fields { fields, init };
    let site = site()?;
    let request =
        Request { budget, settings: &fixed, corpus, adjust: &adjust, available: memory::available() };
    let mut plan = Plan::make(&request, &site).map_err(Failure::of_plan)?;
    plan.config.origin.version = machine::version();
    Ok(plan)
}
