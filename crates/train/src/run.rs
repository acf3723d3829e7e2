//! The loop: steps, evaluations, samples, checkpoints, until the end or until it is asked to stop.

use crate::ahead::{Ahead, Rows};
use crate::evaluate::Evaluator;
use crate::events::{EvalLine, Events, SetScores, StepLine};
use crate::reduce::{InProcess, Reduce, Solo};
use crate::replica::{Replica, Stepped};
use crate::{Error, NonFinite, Result, State, TrainConfig, checkpoint};
use data::{Dataset, Order};
use engine::{CpuDevice, Store};
use record::{EventWriter, MetricsWriter, RunWriter};
use std::sync::PoisonError;
use std::time::{Duration, Instant, SystemTime};

/// Steps in a row that may be passed over.
const MOST_SKIPPED: u64 = 10;

/// Rows between two releases of mapped pages: at 64 kB a row, which is what systems map at a fault, some 8 MB.
const RESIDENT_ROWS: u64 = 128;

/// What a run is given.
pub struct Session<'a> {
    /// What to do.
    pub config: &'a TrainConfig,
    /// What it is done with.
    pub dataset: &'a Dataset,
    /// Where it is written.
    pub writer: &'a RunWriter,
    /// One a rank.
    pub devices: &'a [CpuDevice],
    /// The machine's FLOP/s at most, for the share of it.
    pub peak: f64,
    /// Weights to begin with, read by name; `None` for random ones.
    pub initial: Option<&'a Store>,
    /// Asked after every step.
    pub stop: &'a (dyn Fn() -> bool + Sync),
}

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Outcome {
    /// Where it stands.
    pub state: State,
    /// Whether it came to its end; if not, it was asked to stop, and saved.
    pub done: bool,
    /// The last evaluation.
    pub last: Option<EvalLine>,
}

/// Trains from the latest checkpoint, or from the beginning, to the end.
pub fn train(session: &Session<'_>, events: &mut dyn Events) -> Result<Outcome> {
    let config = session.config;
    config.check()?;
    check_data(config, session.dataset)?;
    if session.devices.len() != config.ranks() {
        return Err(Error::setting(
            "machine.ranks",
            config.ranks(),
            format!("there are {} devices", session.devices.len()),
        ));
    }
    if let [device] = session.devices {
        return Rank::new(session, device, &mut Solo, Some(events))?.run();
    }
    let mut ranks = InProcess::group(session.devices).into_iter();
    let Some(mut first) = ranks.next() else { return Err(Error::Rank) };
    std::thread::scope(|scope| {
        let others: Vec<_> = ranks
            .zip(&session.devices[1..])
            .map(|(mut reduce, device)| {
                scope.spawn(move || Rank::new(session, device, &mut reduce, None)?.run())
            })
            .collect();
        let led = Rank::new(session, &session.devices[0], &mut first, Some(events)).and_then(Rank::run);
        drop(first);
        let failed = others.into_iter().filter_map(|rank| rank.join().map_or(Some(Error::Rank), Result::err));
        // The rank that failed by itself knows more than those that it left.
        let failed = failed.reduce(|a, b| if matches!(a, Error::Rank) { b } else { a });
        match (led, failed) {
            (Err(Error::Rank), Some(error)) => Err(error),
            (Ok(_), Some(error)) if !matches!(error, Error::Rank) => Err(error),
            (led, _) => led,
        }
    })
}

fn check_data(config: &TrainConfig, dataset: &Dataset) -> Result<()> {
    let manifest = dataset.manifest();
    let data = &config.data;
    for (field, expected, got) in
        [("hash", &data.hash, manifest.data_hash()), ("eval_hash", &data.eval_hash, manifest.eval_hash())]
    {
        if *expected != got {
            let path = dataset.folder().into();
            return Err(Error::OtherData { path, field, expected: expected.clone(), got });
        }
    }
    let (model, data) = (config.model.vocab_size, dataset.tokenizer().vocab_size());
    match model >= data {
        true => Ok(()),
        false => {
            Err(Error::setting("model.vocab_size", model, format!("the data's tokenizer has {data} tokens")))
        }
    }
}

/// One rank; the first also writes.
struct Rank<'a, 'e> {
    session: &'a Session<'a>,
    reduce: &'e mut dyn Reduce,
    replica: Replica,
    order: Order,
    /// Where batches have pictures.
    ahead: Option<Ahead>,
    /// How long the last step waited for it.
    waited: Option<Duration>,
    state: State,
    /// Of the configuration.
    hash: String,
    flops: f64,
    leader: Option<Leader<'e>>,
}

/// What only the first rank has.
struct Leader<'e> {
    events: &'e mut dyn Events,
    metrics: MetricsWriter,
    samples: MetricsWriter,
    board: Option<EventWriter>,
    evaluator: Evaluator,
    last: Option<EvalLine>,
    /// Bytes in which further sets were scored.
    scoring: usize,
}

impl<'a, 'e> Rank<'a, 'e> {
    fn new(
        session: &'a Session<'a>,
        device: &CpuDevice,
        reduce: &'e mut dyn Reduce,
        events: Option<&'e mut dyn Events>,
    ) -> Result<Rank<'a, 'e>> {
        let config = session.config;
        let mut replica = Replica::new(config, device)?;
        let (latest, damaged) = session.writer.run().latest()?;
        if latest.is_none() && !damaged.is_empty() {
            let reasons = damaged.iter().map(record::Error::to_string).collect();
            return Err(Error::NoCheckpoint { path: session.writer.run().path().into(), reasons });
        }
        let hash = TrainConfig::hash(&session.writer.run().config()?)?;
        let mut notes: Vec<String> =
            damaged.iter().map(|error| format!("{error}; the checkpoint before it is used")).collect();
        let state = match (&latest, session.initial) {
            (Some(latest), _) => {
                let (state, made_with) = checkpoint::load(latest, &mut replica)?;
                let path = session.writer.run().path().join("run.toml");
                match made_with {
                    Some(made_with) if made_with != hash => return Err(Error::Edited { path, step: state.step }),
                    Some(_) => {}
                    None => notes.push(format!(
                        "{}: an older version made it, which did not record its run.toml; whether that was changed is not known",
                        latest.path.display()
                    )),
                }
                state
            }
            (None, Some(initial)) => {
                replica.params.copy_from(initial)?;
                State::default()
            }
            (None, None) => {
                replica.initialise(config.seed)?;
                State::default()
            }
        };
        let flops = replica.flops() * config.ranks() as f64;
        let leader = match events {
            None => None,
            Some(events) => {
                notes.iter().for_each(|note| events.note(note));
                let metrics = session.writer.lines("metrics.jsonl", state.step)?;
                let samples = session.writer.lines("samples.jsonl", state.step)?;
                let evaluator = Evaluator::new(config, session.dataset, device, replica.params.layout())?;
                let board = match config.machine.tensorboard {
                    true => {
                        Some(EventWriter::new(session.writer.files(), session.writer.run().path(), now())?)
                    }
                    false => None,
                };
                Some(Leader { events, metrics, samples, board, evaluator, last: None, scoring: 0 })
            }
        };
        let look = config.look(session.dataset)?;
        let order = Order::seeing(session.dataset.train().clone(), config.seed, config.seq(), look)?;
        let rows = config.rows / reduce.ranks();
        let rows = Rows {
            first: (reduce.rank() * rows) as u64,
            stride: config.rows as u64,
            micro_batches: rows / config.micro_rows,
            micro_rows: config.micro_rows,
        };
        let makers = crate::lanes(config, device.cpu().threads());
        let ahead = (config.tiles > 0).then(|| Ahead::new(&order, rows, makers, state.step));
        Ok(Rank { session, reduce, replica, order, ahead, waited: None, state, hash, flops, leader })
    }

    fn run(mut self) -> Result<Outcome> {
        let config = self.session.config;
        let saved = |every: u64, step: u64| step == config.steps || (every > 0 && step.is_multiple_of(every));
        let branching = config.branching_step();
        while self.state.step < config.steps {
            let begin = Instant::now();
            let (stepped, rate) = self.step()?;
            let step = self.state.step;
            self.note_step(&stepped, rate, begin.elapsed())?;
            self.check(&stepped)?;
            if saved(config.evaluation.every, step) {
                self.evaluate()?;
            }
            // Before the last checkpoint: a run that has it has these records, too.
            if step == config.steps {
                self.score()?;
            }
            if saved(config.checkpoints.every, step) || branching == Some(step) || stepped.stop {
                self.save()?;
            }
            if stepped.stop && step < config.steps {
                let last = self.leader.and_then(|leader| leader.last);
                return Ok(Outcome { state: self.state, done: false, last });
            }
        }
        if let Some(leader) = &mut self.leader {
            self.session.writer.prune(config.checkpoints.keep, branching)?;
            leader.metrics.sync()?;
            let held = config.ranks() * self.replica.bytes() + leader.evaluator.bytes() + leader.scoring;
            self.session.writer.finish(held as u64)?;
        }
        Ok(Outcome { state: self.state, done: true, last: self.leader.and_then(|leader| leader.last) })
    }

    /// One step, counted even if nothing was updated.
    fn step(&mut self) -> Result<(Stepped, f64)> {
        let config = self.session.config;
        let rows = config.rows / self.reduce.ranks();
        let first = self.state.step * config.rows as u64 + (self.reduce.rank() * rows) as u64;
        let order = &self.order;
        match &mut self.ahead {
            None => self.replica.gradient(&|number, batch| {
                let row = first + (number * config.micro_rows) as u64;
                Ok(order.rows(row, config.micro_rows, batch)?)
            })?,
            Some(ahead) => {
                let (batches, waited) = ahead.next()?;
                self.replica.gradient(&|number, batch| {
                    let mut made = batches[number].lock().unwrap_or_else(PoisonError::into_inner);
                    std::mem::swap(&mut *made, batch);
                    Ok(())
                })?;
                ahead.done(batches);
                self.waited = Some(waited);
            }
        }
        // A row maps some pages of a shard; what is resident must not grow with the data.
        if self.leader.is_some()
            && self.state.step.is_multiple_of((RESIDENT_ROWS / config.rows as u64).max(1))
        {
            self.session.dataset.train().release();
        }
        let stop = self.leader.is_some() && (self.session.stop)();
        self.state.step += 1;
        let rate = config.schedule.rate(self.state.step, config.steps);
        let stepped = self.replica.update(self.reduce, rate, self.state.updates + 1, stop)?;
        self.state.tokens += config.step_tokens();
        match stepped.finite {
            true => {
                self.state.updates += 1;
                self.state.skipped_in_a_row = 0;
            }
            false => self.state.skipped_in_a_row += 1,
        }
        Ok((stepped, rate))
    }

    fn note_step(&mut self, stepped: &Stepped, rate: f64, took: Duration) -> Result<()> {
        let seconds = took.as_secs_f64();
        self.state.seconds += seconds;
        let Some(leader) = &mut self.leader else { return Ok(()) };
        let finite = |x: f64| x.is_finite().then_some(x);
        let line = StepLine {
            step: self.state.step,
            loss: finite(stepped.loss),
            gradient_norm: finite(stepped.norm),
            learning_rate: rate,
            tokens: self.state.tokens,
            flops: self.flops * self.state.step as f64,
            skipped: self.state.step - self.state.updates,
            seconds: self.state.seconds,
            tokens_per_s: self.session.config.step_tokens() as f64 / seconds,
            flop_per_s: self.flops / seconds,
            share_of_peak: self.flops / seconds / self.session.peak,
            waiting: self.waited.map(|waited| waited.as_secs_f64() / seconds),
        };
        leader.metrics.write(&line)?;
        if let Some(board) = &mut leader.board {
            for (tag, value) in [
                ("train/loss", stepped.loss),
                ("train/gradient_norm", stepped.norm),
                ("train/learning_rate", rate),
                ("time/tokens_per_s", line.tokens_per_s),
            ] {
                board.scalar(tag, line.step, value, now())?;
            }
        }
        leader.events.step(&line);
        Ok(())
    }

    /// The rule for numbers that are not finite.
    fn check(&mut self, stepped: &Stepped) -> Result<()> {
        if stepped.finite {
            return Ok(());
        }
        let rule = match self.session.config.non_finite {
            NonFinite::Stop => "stop",
            NonFinite::Skip if self.state.skipped_in_a_row >= MOST_SKIPPED => "skip",
            NonFinite::Skip => {
                let step = self.state.step;
                if let Some(leader) = &mut self.leader {
                    leader
                        .events
                        .note(&format!("step {step} was passed over: its loss or gradient is no number"));
                }
                return Ok(());
            }
        };
        let (latest, _) = self.session.writer.run().latest()?;
        let saved = latest.map_or("Nothing was saved yet".into(), |c| {
            format!("The checkpoint of step {} is intact", c.step)
        });
        Err(Error::NonFinite { step: self.state.step, loss: stepped.loss, norm: stepped.norm, rule, saved })
    }

    fn evaluate(&mut self) -> Result<()> {
        let Some(leader) = &mut self.leader else { return Ok(()) };
        let begin = Instant::now();
        let held = leader.evaluator.run(&self.replica.params)?;
        let step = self.state.step;
        let line = EvalLine {
            step,
            loss: held.loss,
            bits_per_byte: held.bits_per_byte,
            bits_per_word: held.bits_per_word,
            seconds: begin.elapsed().as_secs_f64(),
        };
        leader.metrics.write(&line)?;
        if let Some(board) = &mut leader.board {
            board.scalar("val/loss", step, held.loss, now())?;
            board.scalar("val/bits_per_byte", step, held.bits_per_byte, now())?;
            board.scalar("val/bits_per_word", step, held.bits_per_word, now())?;
        }
        leader.events.evaluated(&line);
        leader.last = Some(line);
        for sample in leader.events.samples(step, &self.replica.params)? {
            leader.samples.write(&sample)?;
        }
        Ok(())
    }

    /// Scores the further sets: a line each, and a file for the answers to questions.
    fn score(&mut self) -> Result<()> {
        let (step, sets) = (self.state.step, &self.session.config.evaluation.sets);
        let Some(leader) = self.leader.as_mut().filter(|_| !sets.is_empty()) else { return Ok(()) };
        let scored = leader.events.scores(step, &self.replica.params)?;
        for (number, set) in sets.iter().enumerate() {
            let scores = scored.get(number).filter(|scores| scores.name == set.name);
            let Some(scores @ SetScores { name, values, questions, bytes }) = scores else {
                let (name, reason) = (set.name.clone(), "nobody scored it".into());
                return Err(Error::Set { name, step, reason });
            };
            leader.scoring = leader.scoring.max(*bytes);
            leader.metrics.write(&scores.line(step))?;
            for (value, x) in values {
                if let Some(board) = &mut leader.board {
                    board.scalar(&format!("set/{name}/{value}"), step, *x, now())?;
                }
            }
            if let Some(lines) = questions {
                let writer = self.session.writer;
                let path = writer.run().path().join(format!("questions-{name}.jsonl"));
                writer.files().replace(&path, lines.as_bytes())?;
            }
        }
        Ok(())
    }

    fn save(&mut self) -> Result<()> {
        let Some(leader) = &mut self.leader else { return Ok(()) };
        let (config, writer) = (self.session.config, self.session.writer);
        // Lines of steps that a checkpoint holds must not be lost after it.
        leader.metrics.sync()?;
        leader.samples.sync()?;
        let dataset = self.session.dataset;
        let begun = writer.checkpoint(self.state.step)?;
        let saved = checkpoint::save(begun, config, dataset, &mut self.replica, &self.state, &self.hash)?;
        writer.prune(config.checkpoints.keep, config.branching_step())?;
        leader.events.saved(saved.step, &saved.path);
        Ok(())
    }
}

/// Seconds since 1970, for TensorBoard alone.
fn now() -> f64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0.0, |d| d.as_secs_f64())
}
