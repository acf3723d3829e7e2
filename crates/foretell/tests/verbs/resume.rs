//! `resume`: of runs that ended, that are damaged, whose data is not there.

use crate::common::{
    World, assert_same, check_error, checkpoints, contents, copy, documents, end, foretell, ok, outcome,
    refused, words, world,
};
use std::fs;
use std::path::{Path, PathBuf};

/// A copy of the run that is not said to be done.
fn unfinished(folder: &Path) -> PathBuf {
    let run = folder.join("run");
    copy(&world().run, &run);
    fs::remove_file(run.join("DONE")).unwrap();
    run
}

fn flip(path: &Path, at: usize) {
    let mut bytes = fs::read(path).unwrap();
    bytes[at] ^= 1;
    fs::write(path, bytes).unwrap();
}

fn truncate(path: &Path) {
    let bytes = fs::read(path).unwrap();
    fs::write(path, &bytes[..bytes.len() / 2]).unwrap();
}

#[test]
fn a_run_that_is_done_says_so_and_stays_as_it_is() {
    let run = &world().run;
    let before = contents(run);
    let ended = ok(words("resume {run}", &[("run", run)]));
    assert!(ended.stdout.contains("is done"), "{ended:?}");
    let ended = ok(words("resume {run} --json", &[("run", run)]));
    assert_eq!(ended.summary()["done"], true);
    assert!(contents(run) == before);
}

#[test]
fn a_damaged_checkpoint_is_named_and_the_one_before_it_used() {
    type Damage = (&'static str, fn(&Path));
    let damages: [Damage; 5] = [
        ("model.safetensors", |path| flip(path, 2000)),
        ("model.safetensors", truncate),
        ("optimizer.safetensors", |path| flip(path, 9000)),
        ("state.json", |path| fs::remove_file(path).unwrap()),
        ("manifest.json", truncate),
    ];
    for (file, damage) in damages {
        let folder = tempfile::tempdir().unwrap();
        let run = unfinished(folder.path());
        damage(&run.join("checkpoints/000000150").join(file));
        let sample = ok(words("sample {run} --tokens 3", &[("run", &run)]));
        let ended = ok(words("resume {run}", &[("run", &run)]));
        for ended in [sample, ended] {
            let note = ended.stderr.lines().find(|line| line.starts_with("note: ")).unwrap_or_default();
            assert!(note.contains("000000150") && note.contains(file), "{file}: {ended:?}");
            assert!(note.contains("the checkpoint before it is used"), "{file}: {ended:?}");
        }
        // From step 100 on, everything is as it was.
        assert_same(&outcome(&world().run), &outcome(&run), file);
    }
}

#[test]
fn a_run_of_nothing_but_damaged_checkpoints_is_refused_and_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let run = unfinished(folder.path());
    for checkpoint in checkpoints(&run) {
        flip(&checkpoint.join("model.safetensors"), 3000);
    }
    let before = contents(&run);
    for line in ["resume {run}", "sample {run}", "export {run} --to gguf --out {run}.gguf"] {
        let ended = end(&mut foretell(words(line, &[("run", &run)])));
        check_error(&ended, "model.safetensors", line);
    }
    assert!(contents(&run) == before);
}

#[test]
fn data_that_was_moved_is_found_and_other_data_is_refused() {
    let World { data, .. } = world();
    let folder = tempfile::tempdir().unwrap();
    let run = unfinished(folder.path());
    fs::remove_dir_all(run.join("checkpoints/000000150")).unwrap();
    let [moved, other, text, away] =
        ["moved", "other", "text.jsonl", "away"].map(|name| folder.path().join(name));
    copy(data, &moved);
    fs::write(&text, documents(2, 100)).unwrap();
    let places = [("run", run.as_path()), ("moved", &moved), ("other", &other), ("text", &text)];
    ok(words("data build {text} --out {other} --vocab 300", &places));
    let config = fs::read_to_string(run.join("run.toml")).unwrap();
    let here = data.to_str().unwrap();
    assert!(config.contains(here));
    fs::write(run.join("run.toml"), config.replace(here, away.to_str().unwrap())).unwrap();
    refused(
        folder.path(),
        &places,
        &[("resume {run}", "away"), ("resume {run} --data {other}", "other data")],
    );
    ok(words("resume {run} --data {moved} -q", &places));
    assert_same(&outcome(&world().run), &outcome(&run), "with data that was moved");
}

#[test]
fn bad_input_is_refused() {
    let World { data, text, .. } = world();
    let folder = tempfile::tempdir().unwrap();
    let run = unfinished(folder.path());
    let [missing, nothing, torn, empty] =
        ["missing", "nothing", "torn", "empty"].map(|name| folder.path().join(name));
    fs::create_dir(&nothing).unwrap();
    for (folder, text) in [(&torn, "seed = 7\nsteps = "), (&empty, "")] {
        fs::create_dir(folder).unwrap();
        fs::write(folder.join("run.toml"), text).unwrap();
    }
    let places = [
        ("run", run.as_path()),
        ("missing", &missing),
        ("nothing", &nothing),
        ("torn", &torn),
        ("empty", &empty),
        ("data", data),
        ("text", text),
    ];
    refused(
        folder.path(),
        &places,
        &[
            ("resume", "RUN"),
            ("resume {missing}", "missing"),
            ("resume {nothing}", "nothing"),
            ("resume {torn}", "run.toml"),
            ("resume {empty}", "run.toml"),
            ("resume {data}", "data"),
            ("resume {text}", "text.jsonl"),
            ("resume /dev/null", "/dev/null"),
            ("resume {run} --data {missing}", "missing"),
            ("resume {run} --data {nothing}", "nothing"),
            ("resume {run} --data {text}", "text.jsonl"),
            ("resume {run} --ranks 3", "ranks"),
            ("resume {run} --threads 0", "--threads"),
            ("resume {run} --isa x87", "x87"),
            ("resume {run} --set steps=20", "steps"),
        ],
    );
}
