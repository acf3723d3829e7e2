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
        assert!(!ended.stderr.contains("the checkpoint before it is used"), "{ended:?}");
    }
    assert!(contents(&run) == before);
}

#[test]
fn a_run_is_found_from_inside_of_it() {
    let folder = tempfile::tempdir().unwrap();
    let run = unfinished(folder.path());
    let mut command = foretell(["resume", ".."]);
    let ended = end(command.current_dir(run.join("checkpoints")));
    assert_eq!(ended.code, Some(0), "{ended:?}");
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
fn a_run_is_gone_on_with_by_the_configuration_that_began_it() {
    let folder = tempfile::tempdir().unwrap();
    let run = unfinished(folder.path());
    fs::remove_dir_all(run.join("checkpoints/000000150")).unwrap();
    let toml = run.join("run.toml");
    let config = fs::read_to_string(&toml).unwrap();
    let edit = |from: &str, to: &str| {
        assert!(config.contains(from), "{from}: {config}");
        fs::write(&toml, config.replace(from, to)).unwrap();
    };
    for (from, to) in
        [("steps = 150", "steps = 140"), ("peak = 0.02", "peak = 0.01"), ("seed = 7", "seed = 8")]
    {
        edit(from, to);
        refused(folder.path(), &[("run", run.as_path())], &[("resume {run}", "run.toml was changed")]);
    }
    // What a user may change, and another way to write the same.
    edit("threads = 2", "threads = 1");
    let again = fs::read_to_string(&toml).unwrap().replace("peak = 0.02", "peak = 2e-2 # the same");
    fs::write(&toml, again).unwrap();
    // A checkpoint of a version that did not record it.
    let old = folder.path().join("old");
    copy(&run, &old);
    let checkpoint = old.join("checkpoints/000000100");
    let text = fs::read_to_string(checkpoint.join("state.json")).unwrap();
    let mut state: serde_json::Map<String, serde_json::Value> = serde_json::from_str(&text).unwrap();
    assert!(state.remove("config").is_some());
    let text = serde_json::to_string(&state).unwrap();
    fs::write(checkpoint.join("state.json"), &text).unwrap();
    let mut manifest: serde_json::Value =
        serde_json::from_slice(&fs::read(checkpoint.join("manifest.json")).unwrap()).unwrap();
    manifest["files"]["state.json"] =
        serde_json::json!({"bytes": text.len(), "blake3": blake3::hash(text.as_bytes()).to_string()});
    fs::write(checkpoint.join("manifest.json"), manifest.to_string()).unwrap();
    let ended = ok(words("resume {old}", &[("old", &old)]));
    assert!(ended.stderr.contains("did not record its run.toml"), "{ended:?}");
    let ended = ok(words("resume {run}", &[("run", &run)]));
    assert!(!ended.stderr.contains("note:"), "{ended:?}");
    assert_same(&outcome(&world().run), &outcome(&run), "with a file that was written otherwise");
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
            ("resume {missing}", "missing is no run"),
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
