//! `report`: everything that is recorded, as one page.

use crate::arguments::Common;
use crate::ladder::Ladder;
use crate::{Failure, machine, output};
use anyhow::{Context, anyhow};
use record::{Files, Registry};
use report::{Ledger, Report, Run, Transfer};
use serde::Serialize;
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use train::TrainConfig;

/// Options of `report`.
#[derive(clap::Args, Debug)]
#[command(after_help = "Examples:
  foretell report
  foretell report ladders/real runs/target --out report.html")]
pub struct Options {
    /// Ladders, runs and transfer folders, or folders in which they lie [default: .]
    #[arg(value_name = "FOLDER", value_parser = crate::arguments::path())]
    pub folders: Vec<PathBuf>,
    /// The registry [default: predictions.jsonl, if it is there]
    #[arg(long, value_name = "FILE", value_parser = crate::arguments::path())]
    pub registry: Option<PathBuf>,
    /// A folder that `transfer` wrote
    #[arg(long, value_name = "FOLDER", value_parser = crate::arguments::path())]
    pub transfer: Option<PathBuf>,
    /// The page to write; an older one is replaced
    #[arg(long, value_name = "FILE", default_value = "report.html", value_parser = crate::arguments::new_path())]
    pub out: PathBuf,
}

/// How every page begins.
const BEGIN: &[u8] = b"<!DOCTYPE html>";

/// Folders within folders in which ladders and runs are looked for.
const DEPTH: usize = 2;

/// What was written.
#[derive(Serialize)]
struct Summary<'a> {
    out: &'a Path,
    bytes: usize,
    ladders: usize,
    rungs: usize,
    runs: usize,
    transfers: usize,
    predictions: usize,
    outcomes: usize,
    /// Whether the registry's chain is whole; null without a registry.
    chain_whole: Option<bool>,
}

/// Reads the records and writes the page.
pub fn run(options: &Options, common: &Common) -> Result<(), Failure> {
    ours(&options.out)?;
    let mut found = Found::default();
    match options.folders.is_empty() {
        true => {
            found.look(Path::new("."), DEPTH)?;
        }
        false => options.folders.iter().try_for_each(|folder| found.named(folder))?,
    }
    if let Some(folder) = &options.transfer {
        found.transfer(folder)?;
    }
    let mut report = found.report;
    report.version = machine::version();
    report.ledger = ledger(options)?;
    if report.ladders.is_empty()
        && report.runs.is_empty()
        && report.transfers.is_empty()
        && report.ledger.is_none()
    {
        return Err(anyhow!(
            "there is nothing to report: no ladder, run, transfer folder or registry was found; name their folders"
        )
        .into());
    }
    if let Some(Err(what)) = report.ledger.as_ref().map(|ledger| &ledger.entries) {
        eprintln!("note: the registry's chain is broken, and the page says so: {what}");
    }
    let page = report.page();
    Files::new().replace(&options.out, page.as_bytes())?;
    let (predictions, outcomes) = report.predictions();
    let summary = Summary {
        out: &options.out,
        bytes: page.len(),
        ladders: report.ladders.len(),
        rungs: report.ladders.iter().map(|ladder| ladder.rungs.len()).sum(),
        runs: report.runs.len(),
        transfers: report.transfers.len(),
        predictions,
        outcomes,
        chain_whole: report.ledger.as_ref().map(|ledger| ledger.entries.is_ok()),
    };
    Ok(output::either(common, &summary, || {
        let Summary { ladders, rungs, runs, predictions, outcomes, .. } = summary;
        format!(
            "{}: ladders {ladders}, finished rungs {rungs}, other runs {runs}, predictions {predictions}, outcomes \
             {outcomes}; {:.0} kB\n",
            options.out.display(),
            page.len() as f64 / 1e3
        )
    })?)
}

/// Refuses to write over what is no page.
fn ours(out: &Path) -> Result<(), Failure> {
    let place = out.display();
    let about = match fs::metadata(out) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        about => about.with_context(|| format!("cannot write {place}"))?,
    };
    let other = || anyhow!("{place} exists and is no report; choose another --out");
    if !about.is_file() {
        return Err(other().into());
    }
    let text = fs::read(out).with_context(|| format!("cannot read {place}"))?;
    match text.is_empty() || text.starts_with(BEGIN) {
        true => Ok(()),
        false => Err(other().into()),
    }
}

/// The registry that was named, or the usual one if it is there.
fn ledger(options: &Options) -> Result<Option<Ledger>, Failure> {
    let usual = PathBuf::from("predictions.jsonl");
    let path = match &options.registry {
        Some(path) if !path.exists() => {
            return Err(anyhow!("--registry {}: there is no such file", path.display()).into());
        }
        Some(path) => path,
        None if !usual.exists() => return Ok(None),
        None => &usual,
    };
    let entries = Registry::at(path).entries().map_err(|error| error.to_string());
    Ok(Some(Ledger { file: path.display().to_string(), entries }))
}

/// What was found so far.
#[derive(Default)]
struct Found {
    report: Report,
    /// Places that were read, so that none is shown twice.
    seen: BTreeSet<PathBuf>,
}

impl Found {
    /// A folder that the user named: there must be something in it.
    fn named(&mut self, folder: &Path) -> Result<(), Failure> {
        let place = folder.display();
        if !fs::metadata(folder).with_context(|| format!("cannot read {place}"))?.is_dir() {
            return Err(anyhow!("{place} is no folder; give a ladder, a run, or a folder with some").into());
        }
        match self.look(folder, DEPTH)? {
            true => Ok(()),
            false => Err(anyhow!("{place} holds no ladder, no run and no transfer.json").into()),
        }
    }

    /// Adds what a folder is, or what lies in it; says whether there was anything.
    fn look(&mut self, folder: &Path, depth: usize) -> Result<bool, Failure> {
        if folder.join("ladder.toml").is_file() {
            return self.ladder(folder).map(|()| true);
        }
        if folder.join("run.toml").is_file() {
            return self.run(folder).map(|()| true);
        }
        if folder.join("transfer.json").is_file() {
            return self.transfer(folder).map(|()| true);
        }
        if depth == 0 {
            return Ok(false);
        }
        let about = || format!("cannot read {}", folder.display());
        let mut folders = Vec::new();
        for entry in fs::read_dir(folder).with_context(about)? {
            let entry = entry.with_context(about)?;
            let hidden = entry.file_name().to_string_lossy().starts_with('.');
            // A link could lead round in a circle.
            if !hidden && entry.file_type().with_context(about)?.is_dir() {
                folders.push(entry.path());
            }
        }
        folders.sort();
        let mut any = false;
        for folder in folders {
            any |= self.look(folder.strip_prefix(".").unwrap_or(&folder), depth - 1)?;
        }
        Ok(any)
    }

    /// Whether a place is read for the first time.
    fn first(&mut self, folder: &Path) -> Result<bool, Failure> {
        let path = fs::canonicalize(folder).with_context(|| format!("cannot read {}", folder.display()))?;
        Ok(self.seen.insert(path))
    }

    fn ladder(&mut self, folder: &Path) -> Result<(), Failure> {
        if !self.first(folder)? {
            return Ok(());
        }
        let ladder = Ladder::open(folder)?;
        let mut read = report::Ladder {
            name: name(folder),
            folder: folder.display().to_string(),
            ..report::Ladder::default()
        };
        for rung in &ladder.rungs {
            let place = crate::fleet::run_folder(folder, &rung.name);
            if !record::Run::open(&place).is_ok_and(|run| run.done()) {
                read.unfinished.push(rung.name.clone());
                continue;
            }
            self.first(&place)?;
            read.rungs.push(Run::read(&place, &rung.name, Some(rung.parameters as f64))?);
        }
        self.report.ladders.push(read);
        Ok(())
    }

    fn run(&mut self, folder: &Path) -> Result<(), Failure> {
        if !self.first(folder)? {
            return Ok(());
        }
        let path = folder.join("run.toml");
        let text = record::Run::open(folder)?.config()?;
        let parameters = match TrainConfig::from_toml(&text, &path) {
            Ok(config) => Some(config.model.multiplying() as f64),
            Err(error) => {
                eprintln!("note: N of {} is not known: {error}", folder.display());
                None
            }
        };
        self.report.runs.push(Run::read(folder, &name(folder), parameters)?);
        Ok(())
    }

    fn transfer(&mut self, folder: &Path) -> Result<(), Failure> {
        if self.first(folder)? {
            self.report.transfers.push((name(folder), Transfer::read(folder)?));
        }
        Ok(())
    }
}

/// What a folder is called: its own name, whatever way leads to it.
fn name(folder: &Path) -> String {
    let own = fs::canonicalize(folder).ok();
    let own = own.as_deref().and_then(Path::file_name).or(folder.file_name());
    own.map_or_else(|| folder.display().to_string(), |name| name.to_string_lossy().into_owned())
}
