//! A run's folder survives what can happen to it.

use record::{Error, Files, Run, RunWriter};
use std::fs;
use std::io::Write;
use std::path::Path;

fn checkpoint(writer: &RunWriter, step: u64) -> record::Result<()> {
    let mut checkpoint = writer.checkpoint(step)?;
    checkpoint
        .file("weights", |out| (0..1000u64).try_for_each(|i| out.write_all(&(i * step).to_le_bytes())))?;
    checkpoint.file("state.json", |out| out.write_all(step.to_string().as_bytes()))?;
    checkpoint.finish()?;
    Ok(())
}

/// A short run: two checkpoints, metrics, the end.
fn write(path: &Path, files: Files) -> record::Result<()> {
    let writer = match Run::open(path) {
        Ok(_) => RunWriter::open(path, files)?,
        Err(_) => RunWriter::create(path, "a = 1\n", files)?,
    };
    let from = writer.run().latest()?.0.map_or(0, |c| c.step);
    let mut metrics = writer.lines("metrics.jsonl", from)?;
    for step in from + 1..=4 {
        metrics.write(&serde_json::json!({"step": step, "loss": 1.0 / step as f64}))?;
        if step % 2 == 0 {
            metrics.sync()?;
            checkpoint(&writer, step)?;
            writer.prune(1, None)?;
        }
    }
    writer.prune(1, None)?;
    writer.finish(0)
}

/// All files below a folder with their contents, the lock apart.
fn contents(path: &Path) -> Vec<(String, Vec<u8>)> {
    let mut found = Vec::new();
    let mut folders = vec![path.to_path_buf()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let entry = entry.unwrap().path();
            match entry.is_dir() {
                true => folders.push(entry),
                false => found.push((
                    entry.strip_prefix(path).unwrap().display().to_string(),
                    fs::read(&entry).unwrap(),
                )),
            }
        }
    }
    found.retain(|(name, _)| name != "lock");
    found.sort();
    found
}

#[test]
fn a_record_that_was_altered_after_the_end_is_found() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("run");
    write(&path, Files::new()).unwrap();
    let run = Run::open(&path).unwrap();
    let (lines, hash) = run.hashed_metrics().unwrap();
    let seal = run.seal().unwrap().unwrap();
    assert_eq!((lines.len(), seal.records.get("metrics.jsonl")), (4, Some(&hash)));
    assert_eq!(seal.records.keys().collect::<Vec<_>>(), ["metrics.jsonl", "run.toml"]);
    for name in ["metrics.jsonl", "run.toml"] {
        let text = fs::read_to_string(path.join(name)).unwrap();
        fs::write(path.join(name), text.replace('1', "2")).unwrap();
        let said = run.record(name).unwrap_err().to_string();
        assert!(said.contains(name) && said.contains("altered after"), "{said}");
        fs::write(path.join(name), text).unwrap();
    }
    run.record("run.toml").unwrap();
    // What came later is no part of it; runs of older versions have no seal.
    fs::write(path.join("notes.jsonl"), "{}").unwrap();
    run.record("notes.jsonl").unwrap();
    fs::write(path.join("DONE"), "").unwrap();
    assert!(run.done() && run.seal().unwrap().is_none());
    run.metrics().unwrap();
    fs::write(path.join("DONE"), "{").unwrap();
    assert!(run.metrics().unwrap_err().to_string().contains("DONE"));
}

#[test]
fn any_failing_write_leaves_a_run_that_goes_on_to_the_same_end() {
    let folder = tempfile::tempdir().unwrap();
    let whole = folder.path().join("whole");
    let counting = Files::failing(u64::MAX, u64::MAX);
    write(&whole, counting.clone()).unwrap();
    assert!(counting.changes() > 30, "{}", counting.changes());
    for until_end in [false, true] {
        for n in 0..counting.changes() {
            let path = folder.path().join(format!("{n}-{until_end}"));
            let files = Files::failing(n, if until_end { u64::MAX } else { n + 1 });
            let error = write(&path, files).unwrap_err().to_string();
            assert!(error.starts_with("cannot ") && error.contains("free some space"), "{error}");
            if let Ok(run) = Run::open(&path) {
                // Nothing that is found is half-written.
                assert!(run.latest().unwrap().1.is_empty());
                assert!(!run.done() || run.latest().unwrap().0.unwrap().step == 4);
            }
            write(&path, Files::new()).unwrap();
            assert_eq!(contents(&path), contents(&whole), "after the failure of change {n}");
        }
    }
}

#[test]
fn a_damaged_checkpoint_is_named_and_the_one_before_it_used() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("run");
    let writer = RunWriter::create(&path, "", Files::new()).unwrap();
    for step in 1..=3 {
        checkpoint(&writer, step).unwrap();
    }
    let weights = path.join("checkpoints/000000003/weights");
    let mut bytes = fs::read(&weights).unwrap();
    bytes[100] ^= 1;
    fs::write(&weights, &bytes).unwrap();
    fs::OpenOptions::new()
        .append(true)
        .open(path.join("checkpoints/000000002/state.json"))
        .unwrap()
        .write_all(b"2")
        .unwrap();
    let (latest, damaged) = writer.run().latest().unwrap();
    assert_eq!(latest.unwrap().step, 1);
    let damaged: Vec<String> = damaged.iter().map(Error::to_string).collect();
    assert!(damaged[0].contains("000000003/weights: was altered"), "{damaged:?}");
    assert!(damaged[1].contains("000000002/state.json: has 2 bytes, 1 were written"), "{damaged:?}");
}

#[test]
fn only_one_writes_and_nothing_is_overwritten() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("run");
    let writer = RunWriter::create(&path, "", Files::new()).unwrap();
    assert!(matches!(RunWriter::open(&path, Files::new()), Err(Error::Locked { .. })));
    drop(writer);
    assert!(RunWriter::open(&path, Files::new()).is_ok());
    assert!(matches!(RunWriter::create(&path, "", Files::new()), Err(Error::Exists { .. })));
    assert!(matches!(Run::open(folder.path()), Err(Error::NoRun { .. })));
    assert!(Run::open(&folder.path().join("none")).unwrap_err().to_string().contains("check the path"));
}
