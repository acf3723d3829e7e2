//! `resume`: go on with a run, to the same end as if it had not been stopped.

use crate::arguments::Common;
use crate::checkpoint::Model;
use crate::{Failure, initial, output};
use record::{Files, RunWriter};
use std::path::PathBuf;
use train::TrainConfig;

/// Options of `resume`.
#[derive(clap::Args, Debug)]
#[command(after_help = "Example:\n  foretell resume runs/first")]
pub struct Options {
    /// Folder of the run
    #[arg(value_parser = crate::arguments::path())]
    pub run: PathBuf,
    /// Where its data is now, if it was moved
    #[arg(long, value_name = "DATA", value_parser = crate::arguments::path())]
    pub data: Option<PathBuf>,
    /// Where a further set is now, if it was moved
    #[arg(long, value_name = "NAME=PATH")]
    pub score: Vec<String>,
    /// Ranks in this process, if others than before
    #[arg(long, value_name = "N")]
    pub ranks: Option<usize>,
}

/// Goes on from the last complete checkpoint.
pub fn run(options: &Options, common: &Common) -> Result<(), Failure> {
    if !options.run.join("run.toml").is_file() {
        return Err(record::Error::NoRun { path: options.run.clone() }.into());
    }
    let writer = RunWriter::open(&options.run, Files::new())?;
    let mut config = TrainConfig::from_toml(&writer.run().config()?, &options.run.join("run.toml"))?;
    crate::sets::moved(&mut config.evaluation.sets, &options.score)?;
    if let Some(ranks) = options.ranks {
        config.machine.ranks = ranks;
        config.check().map_err(|e| Failure::Usage(e.to_string()))?;
    }
    if writer.run().done() {
        let text = format!("{} is done: nothing to go on with\n", options.run.display());
        return Ok(output::either(common, &serde_json::json!({"run": options.run, "done": true}), || text)?);
    }
    // Those of the run, unless others are given now.
    let mut common = common.clone();
    common.threads = common.threads.or(Some(config.machine.threads).filter(|&n| n > 0));
    common.isa = common.isa.or(Some(config.machine.isa.clone()).filter(|isa| !isa.is_empty()));
    let dataset = super::train::open_data(&config, options.data.as_deref())?;
    // A run that was begun with weights and killed before its first checkpoint begins with them again.
    let initial = match config.origin.init_from.as_str() {
        "" => None,
        path => match writer.run().latest()?.0 {
            Some(_) => None,
            None => Some(initial::weights(Model::open(path.as_ref())?, &config, &dataset)?.0),
        },
    };
    super::train::go(&config, &dataset, &writer, initial.as_ref(), &common)
}
