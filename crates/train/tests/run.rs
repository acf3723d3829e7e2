//! A run ends the same, however it is cut, shared out, stopped, or hindered.

mod common;

use common::{config, dataset, device};
use data::Dataset;
use record::{Files, Run, RunWriter};
use std::cell::Cell;
use std::collections::BTreeMap;
use std::path::Path;
use train::*;

/// [`common::go`], with further sets.
fn go(path: &Path, config: &TrainConfig, data: &Dataset, files: Files, until: u64) -> Result<Outcome> {
    common::go(path, config, data, files, until, None, &mut Scoring)
}

/// Scores further sets by a sum of weights.
struct Scoring;

impl Events for Scoring {
    fn scores(&mut self, _: u64, params: &engine::Store) -> Result<Vec<SetScores>> {
        let sum = params.get("model.norm.weight")?.iter().map(|x| f64::from(*x)).sum();
        let values = vec![("sum", sum)];
        Ok(vec![SetScores { name: "some".into(), values, questions: Some(format!("{sum}\n")), bytes: 1 }])
    }
}

/// A set of that name.
fn further(name: &str) -> FurtherSet {
    let (path, hash) = ("nowhere".into(), String::new());
    FurtherSet { name: name.into(), path, kind: SetKind::Questions, tokens: 1, hash }
}

/// What must be the same: the last checkpoint's files, and what metrics say but for times.
fn result(path: &Path) -> BTreeMap<String, Vec<u8>> {
    let run = Run::open(path).unwrap();
    let (latest, damaged) = run.latest().unwrap();
    assert!(damaged.is_empty(), "{damaged:?}");
    let latest = latest.unwrap();
    let mut found = BTreeMap::new();
    for name in ["model.safetensors", "optimizer.safetensors"] {
        found.insert(name.to_string(), std::fs::read(latest.path.join(name)).unwrap());
    }
    let state = std::fs::read(latest.path.join("state.json")).unwrap();
    let mut state: serde_json::Map<String, serde_json::Value> = serde_json::from_slice(&state).unwrap();
    state.remove("seconds").unwrap();
    found.insert("state".into(), serde_json::to_vec(&state).unwrap());
    let mut metrics = run.metrics().unwrap();
    metrics.iter_mut().for_each(|line| line.retain(|name, _| !name.starts_with("time/")));
    found.insert("metrics".into(), serde_json::to_vec(&metrics).unwrap());
    if let Ok(lines) = std::fs::read(path.join("questions-some.jsonl")) {
        found.insert("questions".into(), lines);
    }
    found
}

const NEVER: u64 = u64::MAX;

#[test]
fn ranks_threads_and_stops_change_no_bit() {
    let folder = tempfile::tempdir().unwrap();
    let data = dataset(folder.path());
    for micro_rows in [1, 3] {
        let base = config(&data, micro_rows);
        let whole = folder.path().join(format!("whole-{micro_rows}"));
        let outcome = go(&whole, &base, &data, Files::new(), NEVER).unwrap();
        assert!(outcome.done && outcome.state.step == 12);
        let expected = result(&whole);
        for (ranks, threads) in [(2, 1), (4, 1), (1, 2), (1, 3), (2, 2)] {
            let mut config = base.clone();
            (config.machine.ranks, config.machine.threads) = (ranks, threads);
            let path = folder.path().join(format!("{micro_rows}-{ranks}-{threads}"));
            go(&path, &config, &data, Files::new(), NEVER).unwrap();
            assert!(result(&path) == expected, "{micro_rows} {ranks} {threads}");
        }
        for until in [1, 2, 5] {
            let path = folder.path().join(format!("stopped-{micro_rows}-{until}"));
            let mut config = base.clone();
            let mut stops = 0;
            while !go(&path, &config, &data, Files::new(), until).unwrap().done {
                stops += 1;
                // It goes on with another number of ranks.
                config.machine.ranks = if stops % 2 == 0 { 1 } else { 2 };
            }
            assert_eq!(stops, 11 / until, "stopped after every {until} steps");
            assert!(result(&path) == expected, "{micro_rows} {until}");
            assert!(Run::open(&path).unwrap().done());
        }
    }
}

/// The gradient of a step does not depend on how its rows are cut, but for rounding.
#[test]
fn micro_batches_are_one_batch() {
    let folder = tempfile::tempdir().unwrap();
    let data = dataset(folder.path());
    let losses = |micro_rows| {
        let path = folder.path().join(format!("m{micro_rows}"));
        go(&path, &config(&data, micro_rows), &data, Files::new(), NEVER).unwrap();
        let lines = Run::open(&path).unwrap().metrics().unwrap();
        lines.iter().filter_map(|line| line.get("train/loss")?.as_f64()).collect::<Vec<_>>()
    };
    let (one, many) = (losses(12), losses(1));
    assert_eq!(one.len(), 12);
    for (a, b) in one.iter().zip(&many) {
        assert!((a - b).abs() < 1e-4, "{a} {b}");
    }
    assert!(one[11] < one[0] - 0.2, "{one:?}");
}

#[test]
fn every_failing_write_leaves_a_run_that_goes_on_to_the_same_end() {
    let folder = tempfile::tempdir().unwrap();
    let data = dataset(folder.path());
    let mut config = config(&data, 12);
    config.steps = 4;
    config.schedule.warmup_steps = 1;
    config.checkpoints.every = 2;
    config.evaluation.sets = vec![further("some")];
    let whole = folder.path().join("whole");
    let counting = Files::failing(u64::MAX, u64::MAX);
    go(&whole, &config, &data, counting.clone(), NEVER).unwrap();
    let (expected, changes) = (result(&whole), counting.changes());
    assert!(expected.contains_key("questions"));
    assert!(changes > 60, "{changes}");
    for n in 0..changes {
        let path = folder.path().join(n.to_string());
        let error = go(&path, &config, &data, Files::failing(n, NEVER), NEVER).unwrap_err().to_string();
        assert!(error.contains("free some space"), "{error}");
        if let Ok(run) = Run::open(&path) {
            assert!(
                run.latest().unwrap().1.is_empty(),
                "something half-written has the name of a checkpoint"
            );
        }
        go(&path, &config, &data, Files::new(), NEVER).unwrap();
        assert!(result(&path) == expected, "after the failure of change {n}");
        std::fs::remove_dir_all(&path).unwrap();
    }
}

/// Begins with weights that are no numbers.
fn broken(path: &Path, config: &TrainConfig, data: &Dataset, notes: &Cell<usize>) -> Result<Outcome> {
    struct Count<'a>(&'a Cell<usize>);
    impl Events for Count<'_> {
        fn note(&mut self, _: &str) {
            self.0.set(self.0.get() + 1);
        }
    }
    let mut replica = Replica::new(config, &device(1))?;
    replica.initialise(1)?;
    let gain = replica.params.get("model.norm.weight")?;
    replica.params.write("model.norm.weight", &vec![f32::NAN; gain.len()])?;
    common::go(path, config, data, Files::new(), NEVER, Some(&replica.params), &mut Count(notes))
}

#[test]
fn numbers_that_are_none_stop_or_are_passed_over_by_the_rule() {
    let folder = tempfile::tempdir().unwrap();
    let data = dataset(folder.path());
    let mut config = config(&data, 12);
    let notes = Cell::new(0);
    let error = broken(&folder.path().join("stop"), &config, &data, &notes).unwrap_err();
    assert!(matches!(error, Error::NonFinite { step: 1, rule: "stop", .. }), "{error}");
    config.non_finite = NonFinite::Skip;
    let path = folder.path().join("skip");
    let error = broken(&path, &config, &data, &notes).unwrap_err();
    assert!(matches!(error, Error::NonFinite { step: 10, rule: "skip", .. }), "{error}");
    assert_eq!(notes.get(), 9);
    let lines = Run::open(&path).unwrap().metrics().unwrap();
    let skipped: Vec<u64> = lines.iter().filter_map(|line| line.get("train/skipped")?.as_u64()).collect();
    assert_eq!(skipped, (1..=10).collect::<Vec<_>>());
}

#[test]
fn memory_is_known_before_it_is_taken() {
    let folder = tempfile::tempdir().unwrap();
    let data = dataset(folder.path());
    for micro_rows in [1, 3, 12] {
        for matrices in ["adamw", "muon"] {
            let mut config = config(&data, micro_rows);
            config.optimiser.matrices = matrices.into();
            let device = device(2);
            let foretold = Memory::of(&config, 2).unwrap();
            let replica = Replica::new(&config, &device).unwrap();
            assert_eq!(replica.bytes(), foretold.total() - foretold.evaluation);
            assert_eq!((foretold.texts, foretold.initial), (0, 0));
            let evaluator = Evaluator::new(&config, &data, &device, replica.params.layout()).unwrap();
            assert_eq!(evaluator.bytes(), foretold.evaluation);
        }
    }
}

#[test]
fn two_runs_differ_in_what_decides_their_results() {
    let folder = tempfile::tempdir().unwrap();
    let data = dataset(folder.path());
    let one = config(&data, 3);
    let mut other = one.clone();
    other.machine.threads = 7;
    other.origin.started = 9;
    other.origin.prediction = Some(train::Foretold { id: 1, hash: "x".into() });
    other.data.path = "elsewhere".into();
    let texts = |other: &TrainConfig| (one.to_toml().unwrap(), other.to_toml().unwrap());
    let (a, b) = texts(&other);
    assert_eq!(TrainConfig::hash(&a).unwrap(), TrainConfig::hash(&b).unwrap());
    // When it is saved and looked at is of the run, and not of its result.
    (other.checkpoints.every, other.evaluation.every) = (5, 6);
    let (a, b) = texts(&other);
    assert_ne!(TrainConfig::hash(&a).unwrap(), TrainConfig::hash(&b).unwrap());
    assert_eq!(TrainConfig::differences(&a, &b).unwrap(), []);
    other.model.intermediate_size += 8;
    other.data.eval_hash = "y".into();
    let (a, b) = texts(&other);
    let names: Vec<String> =
        TrainConfig::differences(&a, &b).unwrap().into_iter().map(|(name, ..)| name).collect();
    assert_eq!(names, ["data.eval_hash", "model.intermediate_size"]);
}

#[test]
fn what_does_not_fit_is_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let data = dataset(folder.path());
    let good = config(&data, 3);
    let refused = |change: &dyn Fn(&mut TrainConfig)| {
        let mut config = good.clone();
        change(&mut config);
        go(&folder.path().join("refused"), &config, &data, Files::new(), NEVER).unwrap_err().to_string()
    };
    assert!(refused(&|c| c.data.hash = "x".into()).contains("other data"));
    assert!(refused(&|c| c.micro_rows = 5).contains("micro_rows"));
    assert!(refused(&|c| c.machine.ranks = 3).contains("machine.ranks"));
    assert!(refused(&|c| c.model.vocab_size = 100).contains("model.vocab_size"));
    assert!(refused(&|c| c.schedule.peak = f64::NAN).contains("schedule.peak"));
    assert!(refused(&|c| c.evaluation.sets = vec![further("a/b")]).contains("evaluation.sets.name = a/b"));
    assert!(refused(&|c| c.evaluation.sets = vec![further("a"), further("a")]).contains("two sets"));
    // Who listens scores another set than the run has.
    let mut other = good.clone();
    (other.steps, other.schedule.warmup_steps, other.evaluation.sets) = (1, 0, vec![further("other")]);
    let error = go(&folder.path().join("other"), &other, &data, Files::new(), NEVER).unwrap_err().to_string();
    assert!(error.contains("the set other at step 1: nobody scored it"), "{error}");
    let text = other.to_toml().unwrap();
    assert_eq!(TrainConfig::from_toml(&text, Path::new("run.toml")).unwrap(), other);
    let text = good.to_toml().unwrap();
    assert_eq!(TrainConfig::from_toml(&text, Path::new("run.toml")).unwrap(), good);
    let error =
        TrainConfig::from_toml(&text.replace("seed", "sed"), Path::new("run.toml")).unwrap_err().to_string();
    assert!(error.contains("run.toml") && error.contains("sed"), "{error}");
}

/// A run of so many steps that decays over some of them, and whose start of the decay stays.
fn decaying(data: &Dataset, steps: u64, decay_steps: u64) -> TrainConfig {
    let config = config(data, 6);
    let schedule = Schedule { kind: ScheduleKind::Wsd, decay_steps, ..config.schedule };
    let checkpoints = Checkpoints { every: 3, keep: 1, branch: true };
    TrainConfig { steps, schedule, checkpoints, ..config }
}

#[test]
fn a_branch_is_the_run_that_it_would_have_been() {
    let folder = tempfile::tempdir().unwrap();
    let data = dataset(folder.path());
    let at = |name: &str| folder.path().join(name);
    let (short, long) = (decaying(&data, 12, 4), decaying(&data, 20, 5));
    go(&at("short"), &short, &data, Files::new(), u64::MAX).unwrap();
    go(&at("whole"), &long, &data, Files::new(), u64::MAX).unwrap();

    // Nothing of it was written before, or a kill left records without a checkpoint.
    for name in ["branch", "killed"] {
        let writer = RunWriter::create(&at(name), &long.to_toml().unwrap(), Files::new()).unwrap();
        if name == "killed" {
            std::fs::write(at(name).join("metrics.jsonl"), "{\"step\": 1, \"cut").unwrap();
        }
        branch(&Run::open(&at("short")).unwrap(), &writer, &data).unwrap();
        assert_eq!(writer.run().latest().unwrap().0.unwrap().step, 8);
        drop(writer);
        go(&at(name), &long, &data, Files::new(), u64::MAX).unwrap();
        assert_eq!(result(&at(name)), result(&at("whole")), "{name}");
    }
    // The longest could go on to be a trunk itself.
    assert_eq!(Run::open(&at("branch")).unwrap().checkpoint(15).unwrap().step, 15);
}

#[test]
fn what_shares_no_steps_does_not_branch() {
    let folder = tempfile::tempdir().unwrap();
    let data = dataset(folder.path());
    let long = decaying(&data, 20, 5);
    let refused = |other: &TrainConfig| {
        branches_from(&long.to_toml().unwrap(), &other.to_toml().unwrap()).unwrap_err().to_string()
    };
    let short = decaying(&data, 12, 4);
    assert_eq!(branches_from(&long.to_toml().unwrap(), &short.to_toml().unwrap()).unwrap(), 8);
    assert!(refused(&TrainConfig { seed: 4, ..short.clone() }).contains("seed is 3 here and 4 there"));
    assert!(refused(&TrainConfig { rows: 6, ..short.clone() }).contains("rows"));
    assert!(refused(&decaying(&data, 40, 4)).contains("decays after 15 steps, the other after 36"));
    let linear = Schedule { kind: ScheduleKind::Linear, ..short.schedule };
    assert!(refused(&TrainConfig { schedule: linear, ..short.clone() }).contains("schedule.kind"));
    assert!(refused(&decaying(&data, 12, 0)).contains("decay_steps"));

    // A trunk whose run.toml was changed after its checkpoint is not the run that it says.
    go(&folder.path().join("short"), &short, &data, Files::new(), u64::MAX).unwrap();
    let edited = folder.path().join("short/run.toml");
    let text = std::fs::read_to_string(&edited).unwrap();
    std::fs::write(&edited, text.replace("peak = 0.01", "peak = 0.02")).unwrap();
    let peak = Schedule { peak: 0.02, ..long.schedule };
    let text = TrainConfig { schedule: peak, ..long }.to_toml().unwrap();
    let writer = RunWriter::create(&folder.path().join("long"), &text, Files::new()).unwrap();
    let error = branch(&Run::open(&folder.path().join("short")).unwrap(), &writer, &data);
    assert!(error.unwrap_err().to_string().contains("was changed"));
}
