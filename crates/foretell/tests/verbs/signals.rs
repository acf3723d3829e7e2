//! Ctrl-C and SIGTERM save; two processes do not write one run.

use crate::common::{
    assert_same, check_error, checkpoints, end, foretell, ok, outcome, signal, wait, wait_for_lines, words,
    write_config,
};
use std::fs;
use std::path::Path;
use std::process::{Child, Stdio};
use std::time::Duration;

fn spawn(line: &str, places: &[(&str, &Path)]) -> Child {
    foretell(words(line, places)).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

#[test]
fn an_interrupted_run_saves_and_goes_on_to_the_same_end() {
    let folder = tempfile::tempdir().unwrap();
    // No checkpoint but those of the interruptions and of the end.
    let toml = write_config(folder.path(), 150, &[("every = 3\nkeep", "every = 0\nkeep")]);
    let [whole, run] = ["whole", "run"].map(|name| folder.path().join(name));
    let places = [("toml", toml.as_path()), ("run", &run), ("whole", &whole)];
    ok(words("train --config {toml} --out {whole} -q", &places));
    let mut step = 0;
    for (line, name, code) in [
        ("train --config {toml} --out {run} --threads 1", "INT", 130),
        ("resume {run} --threads 1", "TERM", 143),
    ] {
        let child = spawn(line, &places);
        wait_for_lines(&run, step + 5);
        signal(child.id(), name);
        let ended = wait(child, line);
        assert_eq!(ended.code, Some(code), "{ended:?}");
        assert!(ended.stderr.contains("foretell resume"), "{ended:?}");
        assert!(!ended.stderr.contains("error:"), "{ended:?}");
        let saved = checkpoints(&run).pop().unwrap();
        let saved: usize = saved.file_name().unwrap().to_str().unwrap().parse().unwrap();
        assert!(saved > step && saved < 150, "{saved}");
        assert!(ended.stderr.contains(&format!("stopped after step {saved} ")), "{ended:?}");
        step = saved;
    }
    ok(words("resume {run} -q", &places));
    let (whole, mut run) = (outcome(&whole), outcome(&run));
    // The whole run has no other checkpoint than its last.
    run.retain(|name, _| whole.contains_key(name));
    assert_same(&whole, &run, "interrupted twice");
}

#[test]
fn two_processes_do_not_write_one_run_but_others_may_read_it() {
    let folder = tempfile::tempdir().unwrap();
    let toml = write_config(folder.path(), 100_000, &[("every = 3\nkeep", "every = 1\nkeep")]);
    let run = folder.path().join("run");
    let places = [("toml", toml.as_path()), ("run", run.as_path())];
    let child = spawn("train --config {toml} --out {run} --threads 1 -q", &places);
    wait_for_lines(&run, 3);
    for (line, thing) in
        [("resume {run}", "another process"), ("train --config {toml} --out {run}", "exists already")]
    {
        check_error(&end(&mut foretell(words(line, &places))), thing, line);
    }
    // The checkpoint that is read may be pruned meanwhile; then the next attempt succeeds.
    let read =
        (0..20).find(|_| end(&mut foretell(words("sample {run} --tokens 2", &places))).code == Some(0));
    assert!(read.is_some());
    signal(child.id(), "INT");
    assert_eq!(wait(child, "train").code, Some(130));
}

#[test]
fn an_interrupted_build_or_world_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let holes = folder.path().join("holes");
    fs::File::create(&holes).unwrap().set_len(1 << 40).unwrap();
    let out = folder.path().join("out");
    let places = [("holes", holes.as_path()), ("out", out.as_path())];
    for line in [
        "data build {holes} --out {out} --tokenizer bytes -q",
        "data generate --out {out} --bytes 99999999999 -q",
    ] {
        for (name, code) in [("INT", 130), ("TERM", 143)] {
            let child = spawn(line, &places);
            std::thread::sleep(Duration::from_millis(300));
            signal(child.id(), name);
            let ended = wait(child, line);
            assert_eq!(ended.code, Some(code), "{line}: {ended:?}");
            assert!(ended.stderr.contains("nothing was written"), "{line}: {ended:?}");
            assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "{line}");
        }
    }
}

#[test]
fn a_second_signal_ends_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("world");
    // A build has no checkpoint: interrupted, it leaves nothing.
    let text = folder.path().join("text.jsonl");
    fs::write(&text, crate::common::documents(3, 12_000)).unwrap();
    let places = [("text", text.as_path()), ("out", out.as_path())];
    let child = spawn("data build {text} --out {out} --vocab 4000 --threads 1 -q", &places);
    std::thread::sleep(Duration::from_millis(100));
    signal(child.id(), "TERM");
    std::thread::sleep(Duration::from_millis(20));
    signal(child.id(), "TERM");
    let ended = wait(child, "data build");
    assert_eq!(ended.code, Some(143), "{ended:?}");
    assert!(!out.exists());
}
