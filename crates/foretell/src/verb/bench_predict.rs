//! `bench predict`: other people's runs, foretold from their cheaper ones.
//!
//! A folder holds tables of finished runs (`dataset, run_id, params_N, tokens_D, flops_C, loss, extra`),
//! `targets.csv` (`dataset, tier, target_run_id`) and `splits.csv` (`dataset, tier, f, C_cut, feasible`).
//! Each target is foretold from the runs of its data set that cost at most the cut. A target's own loss is
//! never read: neither from `targets.csv` nor, being above the cut, from the tables.

use crate::arguments::Common;
use crate::progress::Progress;
use crate::{Failure, output};
use anyhow::{Context, anyhow};
use record::{Files, Table};
use scaling::{Family, Prediction, Run, Target};
use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::{Path, PathBuf};

/// Options of `bench predict`.
#[derive(clap::Args, Debug)]
#[command(after_help = "Example:\n  foretell bench predict scaling --out predictions.csv")]
pub struct Options {
    /// Folder of runs, targets.csv and splits.csv
    #[arg(value_name = "DIR")]
    pub folder: PathBuf,
    /// File to write: dataset, target_run_id, f, pred, lo80 … hi95
    #[arg(long, value_name = "FILE", value_parser = crate::arguments::new_path())]
    pub out: PathBuf,
}

/// A run of a table; its loss stays behind until the cut is known.
struct Listed<'a> {
    target: Target,
    flops: f64,
    row: record::Row<'a>,
    /// Marked as one that its own authors leave out.
    outlier: bool,
}

/// Rounded figures may be this much above a cut.
const HAIR: f64 = 1.0 + 1e-6;

/// Columns by which a table of runs is known.
const COLUMNS: [&str; 6] = ["dataset", "run_id", "params_N", "tokens_D", "flops_C", "loss"];

/// Foretells every feasible target.
pub fn run(options: &Options, common: &Common) -> Result<(), Failure> {
    let tables = tables(&options.folder)?;
    let mut runs: BTreeMap<&str, BTreeMap<&str, Listed>> = BTreeMap::new();
    for row in tables.iter().flat_map(Table::rows) {
        let listed = Listed {
            target: Target { parameters: row.needed("params_N")?, tokens: row.needed("tokens_D")? },
            flops: row.needed("flops_C")?,
            row,
            outlier: outlier(&row)?,
        };
        runs.entry(row.required("dataset")?).or_default().insert(row.required("run_id")?, listed);
    }
    let targets = Table::read(&options.folder.join("targets.csv"))?;
    let splits = Table::read(&options.folder.join("splits.csv"))?;
    let mut asked = BTreeMap::<(&str, &str), Vec<&str>>::new();
    for row in targets.rows() {
        let key = (row.required("dataset")?, row.required("tier")?);
        asked.entry(key).or_default().push(row.required("target_run_id")?);
    }
    let mut text = String::from("dataset,target_run_id,f,pred,lo80,hi80,lo90,hi90,lo95,hi95\n");
    let mut count = 0u64;
    let mut progress = Progress::new("predict", splits.rows().count() as u64, common.quiet || common.json);
    for (done, split) in (1..).zip(splits.rows()) {
        let (dataset, f) = (split.required("dataset")?, split.required("f")?);
        let names = asked.get(&(dataset, split.required("tier")?));
        if let (Some(names), true) = (names, split.required("feasible")? == "1") {
            let listed = runs.get(dataset).ok_or_else(|| anyhow!("{dataset}: there are no runs of it"))?;
            let known = known(listed, split.needed("C_cut")?)?;
            let place = || format!("{dataset}, f = {f}");
            let family = Family::new(&known).with_context(place)?;
            for name in names {
                let target = listed.get(name).ok_or_else(|| anyhow!("{dataset}: there is no run {name}"))?;
                let prediction = family.predict(&target.target).with_context(place)?;
                line(&mut text, dataset, name, f, &prediction);
                count += 1;
            }
        }
        progress.show(done, || format!("cuts, {count} predictions"));
    }
    progress.end();
    Files::new().replace(&options.out, text.as_bytes())?;
    let summary = serde_json::json!({"out": options.out, "predictions": count});
    Ok(output::either(common, &summary, || format!("{}: {count} predictions\n", options.out.display()))?)
}

/// The tables of runs in a folder: those with the right columns.
fn tables(folder: &Path) -> Result<Vec<Table>, Failure> {
    let mut paths = Vec::new();
    for entry in std::fs::read_dir(folder).with_context(|| format!("cannot list {}", folder.display()))? {
        paths.push(entry?.path());
    }
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "csv" || extension == "jsonl"));
    paths.sort();
    let tables = paths.iter().map(|path| Table::read(path)).collect::<Result<Vec<_>, _>>()?;
    let tables: Vec<_> =
        tables.into_iter().filter(|table| COLUMNS.iter().all(|name| table.has(name))).collect();
    if tables.is_empty() {
        let columns = COLUMNS.join(", ");
        return Err(anyhow!("{}: no table there has the columns {columns}", folder.display()).into());
    }
    Ok(tables)
}

/// What may be known of a data set below a cut.
fn known(listed: &BTreeMap<&str, Listed>, cut: f64) -> Result<Vec<Run>, Failure> {
    let below = listed.values().filter(|run| run.flops <= cut * HAIR && !run.outlier);
    let run = |listed: &Listed| {
        let Target { parameters, tokens } = listed.target;
        Ok(Run { parameters, tokens, flops: listed.flops, loss: listed.row.needed("loss")? })
    };
    below.map(run).collect()
}

/// Whether the run's authors themselves mark it as an outlier.
fn outlier(row: &record::Row) -> Result<bool, Failure> {
    let Some(text) = row.text("extra").ok().flatten() else { return Ok(false) };
    let extra: serde_json::Value =
        serde_json::from_str(text).map_err(|e| row.wrong("extra", &e.to_string()))?;
    Ok(extra.get("epoch_outlier").is_some_and(|mark| mark.as_f64() == Some(1.0)))
}

fn line(text: &mut String, dataset: &str, name: &str, f: &str, prediction: &Prediction) {
    let quote = |name: &str| match name.contains([',', '"', '\n']) {
        true => format!("\"{}\"", name.replace('"', "\"\"")),
        false => name.to_string(),
    };
    let _ = write!(text, "{},{},{f},{:.6}", quote(dataset), quote(name), prediction.loss);
    for interval in &prediction.intervals {
        let _ = write!(text, ",{:.6},{:.6}", interval.low, interval.high);
    }
    text.push('\n');
}
