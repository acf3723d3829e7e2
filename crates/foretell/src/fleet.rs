//! Many small runs, one a core: what a ladder and a transfer test are made of. Plain files are the only
//! coordination, so that several processes share the work.
//!
//! ```text
//! FOLDER/ plans/<name>.toml    run.toml of a run, before it is begun
//!         rungs/<name>/        a run
//! ```

use crate::arguments::Common;
use crate::progress::Progress;
use crate::sets::{self, Loaded};
use crate::{Failure, machine, signals};
use anyhow::{Context, anyhow};
use data::Dataset;
use engine::{CpuDevice, Store};
use record::{Files, RunWriter};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc;
use std::time::Duration;
use train::{Events, Session, SetScores, StepLine, TrainConfig};

/// Runs of one folder that are trained and scored on the same.
#[derive(Clone, Copy)]
pub struct Fleet<'a> {
    /// Where they are.
    pub folder: &'a Path,
    /// What they are called together, for the progress bar.
    pub name: &'static str,
    /// What they are trained on.
    pub dataset: &'a Dataset,
    /// What they are scored on at their end.
    pub sets: &'a [Loaded],
    /// Whether their weights stay when they are done; if not, only their records do.
    pub weights: bool,
}

/// A run of a fleet. Where its plan says that it branches off another, that one is done before it.
#[derive(Clone, Debug)]
pub struct Member {
    /// Its folder.
    pub name: String,
    /// What it costs, without the steps that another of them takes for it.
    pub flops: f64,
}

/// How a fleet's runs ended.
#[derive(Debug, Default)]
pub struct Ended {
    /// Whether it was asked to stop.
    pub stopped: bool,
    /// Names of runs whose loss became no number.
    pub diverged: Vec<String>,
}

/// How one ended.
enum Fate {
    Done,
    /// It was stopped, or another process writes it.
    Left,
    Diverged,
}

/// What a worker tells.
enum Told {
    /// FLOP of a step.
    Spent(f64),
    /// How a run ended, or why not.
    Ended(String, Result<Fate, Failure>),
}

/// The folder of a run.
pub fn run_folder(folder: &Path, name: &str) -> PathBuf {
    folder.join("rungs").join(name)
}

/// The configuration of a run that is not begun.
pub fn plan_file(folder: &Path, name: &str) -> PathBuf {
    folder.join("plans").join(format!("{name}.toml"))
}

impl Fleet<'_> {
    /// Runs what is not done, in the order given; what stands in one chain, one after the other.
    pub fn run(&self, chains: &[Vec<Member>], common: &Common) -> Result<Ended, Failure> {
        let stop = signals::stop()?;
        let failed = AtomicBool::new(false);
        let next = AtomicUsize::new(0);
        let total: f64 = chains.iter().flatten().map(|member| member.flops).sum();
        let count = chains.iter().flatten().count();
        let workers = machine::threads(common)?.min(chains.len().max(1));
        let peak = plan::peak(&machine::device_of(common, 1)?, Duration::from_millis(8));
        let (tell, told) = mpsc::channel();
        // Thousandths, for a bar counts in whole units.
        let mut progress = Progress::new(self.name, 1000, common.quiet || common.json);
        let mut first_failure = None;
        let mut ended = Ended::default();
        std::thread::scope(|scope| {
            for _ in 0..workers {
                let (tell, next, failed, stop) = (tell.clone(), &next, &failed, &stop);
                scope.spawn(move || {
                    let stopping = || signals::stopping(stop) || failed.load(Ordering::Relaxed);
                    let following = || chains.get(next.fetch_add(1, Ordering::Relaxed));
                    while let Some(chain) = following().filter(|_| !stopping()) {
                        for member in chain {
                            let fate = self.run_one(member, common, peak, &stopping, &tell);
                            if fate.is_err() {
                                failed.store(true, Ordering::Relaxed);
                            }
                            let done = matches!(fate, Ok(Fate::Done));
                            let _ = tell.send(Told::Ended(member.name.clone(), fate));
                            if !done {
                                break;
                            }
                        }
                    }
                });
            }
            drop(tell);
            let (mut spent, mut done) = (0.0, 0);
            for message in told {
                match message {
                    Told::Spent(flops) => spent += flops,
                    Told::Ended(_, Ok(Fate::Done)) => done += 1,
                    Told::Ended(name, Ok(Fate::Left)) => {
                        progress.note(&format!("note: {name} is left as it is"));
                    }
                    Told::Ended(name, Ok(Fate::Diverged)) => ended.diverged.push(name),
                    Told::Ended(name, Err(error)) => {
                        first_failure = first_failure.take().or(Some((name, error)));
                    }
                }
                progress.show((1000.0 * spent / total) as u64, || {
                    format!("‰ of the FLOP, {done} of {count} runs")
                });
            }
        });
        progress.end();
        match first_failure {
            Some((name, Failure::Failed(error))) => {
                Err(Failure::Failed(error.context(format!("run {name}"))))
            }
            Some((_, other)) => Err(other),
            None => Ok(Ended { stopped: signals::stopping(&stop), ..ended }),
        }
    }

    /// Runs one to its end, from where it stands.
    fn run_one(
        &self,
        member: &Member,
        common: &Common,
        peak: f64,
        stop: &(dyn Fn() -> bool + Sync),
        tell: &mpsc::Sender<Told>,
    ) -> Result<Fate, Failure> {
        let folder = run_folder(self.folder, &member.name);
        let spent = |flops: f64| {
            let _ = tell.send(Told::Spent(flops));
        };
        if record::Run::open(&folder).is_ok_and(|run| run.done()) {
            spent(member.flops);
            return Ok(Fate::Done);
        }
        let (config, writer) = match self.claim(member, &folder) {
            Ok(claimed) => claimed,
            Err(Failure::Failed(error)) if is_locked(&error) => return Ok(Fate::Left),
            Err(other) => return Err(other),
        };
        // Another process may have ended it between the look and the lock.
        if writer.run().done() {
            spent(member.flops);
            return Ok(Fate::Done);
        }
        let mut begun = 0.0;
        if let Some(branch) = &config.origin.branch {
            if writer.run().latest()?.0.is_none() {
                let shorter = run_folder(self.folder, &branch.run);
                record::Run::open(&shorter)
                    .map_err(train::Error::from)
                    .and_then(|shorter| train::branch(&shorter, &writer, self.dataset))
                    .with_context(|| {
                        let place = shorter.display();
                        format!("it cannot branch off {place}: remove that folder, and it is run anew")
                    })?;
            }
            // The member's FLOP are those of the other steps.
            begun = member.flops * branch.step as f64 / (config.steps as f64 - branch.step as f64);
        }
        let device = machine::device_of(common, 1)?;
        let mut teller = Teller { tell, flops: begun, sets: self.sets, config: &config, device: &device };
        let devices = std::slice::from_ref(&device);
        let (dataset, writer) = (self.dataset, &writer);
        let session = Session { config: &config, dataset, writer, devices, peak, initial: None, stop };
        match train::train(&session, &mut teller) {
            Ok(outcome) if outcome.done => {
                if !self.weights {
                    std::fs::remove_dir_all(folder.join("checkpoints"))?;
                }
                Ok(Fate::Done)
            }
            Ok(_) => Ok(Fate::Left),
            Err(train::Error::NonFinite { .. }) => Ok(Fate::Diverged),
            Err(error) => Err(error.into()),
        }
    }

    /// A run's configuration and its folder, locked.
    fn claim(&self, member: &Member, folder: &Path) -> Result<(TrainConfig, RunWriter), Failure> {
        if folder.join("run.toml").exists() {
            let writer = RunWriter::open(folder, Files::new())?;
            let config = TrainConfig::from_toml(&writer.run().config()?, &folder.join("run.toml"))?;
            return Ok((config, writer));
        }
        let path = plan_file(self.folder, &member.name);
        let text =
            std::fs::read_to_string(&path).map_err(|e| anyhow!("cannot read {}: {e}", path.display()))?;
        let config = TrainConfig::from_toml(&text, &path)?;
        let writer = RunWriter::create(folder, &text, Files::new())?;
        Ok((config, writer))
    }
}

struct Teller<'a> {
    tell: &'a mpsc::Sender<Told>,
    flops: f64,
    sets: &'a [Loaded],
    config: &'a TrainConfig,
    device: &'a CpuDevice,
}

impl Events for Teller<'_> {
    fn step(&mut self, line: &StepLine) {
        // Nobody listens any more only when the command is ending.
        let _ = self.tell.send(Told::Spent(line.flops - self.flops));
        self.flops = line.flops;
    }

    fn scores(&mut self, step: u64, params: &Store) -> train::Result<Vec<SetScores>> {
        sets::score(self.sets, self.config, self.device, step, params)
    }
}

fn is_locked(error: &anyhow::Error) -> bool {
    matches!(error.downcast_ref(), Some(record::Error::Locked { .. }))
}
